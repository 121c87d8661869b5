from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import pyvips

from allfocus.photo import avif
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box


def file_of(pixels: np.ndarray, **options: object) -> bytes:
    image = pyvips.Image.new_from_array(pixels)
    return image.heifsave_buffer(**{"compression": "av1", "effort": 0, "keep": "icc", **options})


EXIF = b"II*\0\x08\0\0\0" + bytes(6)
PIXELS = np.random.default_rng(3).integers(0, 255, (21, 34, 4), dtype=np.uint8)


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize(("exif", "xmp"), [(EXIF, None), (None, b"<x/>"), (EXIF, b"<x/>" * 900)])
def test_items_are_read_by_pillow_and_pixels_stay(bands: int, exif: bytes | None, xmp: bytes | None) -> None:
    plain = file_of(PIXELS[..., :bands])
    data = avif.embed(plain, exif, xmp)
    with PIL.Image.open(io.BytesIO(data)) as image, PIL.Image.open(io.BytesIO(plain)) as before:
        assert image.info.get("exif") == exif
        assert image.info.get("xmp") == xmp
        assert np.array_equal(np.asarray(image), np.asarray(before))
    photo = decode(data)
    assert photo.exif == exif
    assert photo.xmp == xmp


def test_nothing_to_put_in_changes_nothing() -> None:
    plain = file_of(PIXELS[..., :3])
    assert avif.embed(plain, None, None) == plain


def test_exact_transparency_is_grafted_onto_a_lossy_picture() -> None:
    lossy = file_of(PIXELS, Q=40)
    exact = file_of(PIXELS, lossless=True)
    with PIL.Image.open(io.BytesIO(avif.embed(lossy, EXIF, None, alpha_of=exact))) as image:
        got = np.asarray(image)
    with PIL.Image.open(io.BytesIO(lossy)) as image:
        before = np.asarray(image)
    assert np.array_equal(got[..., 3], PIXELS[..., 3])
    assert not np.array_equal(before[..., 3], PIXELS[..., 3])
    assert np.array_equal(got[..., :3], before[..., :3])


def test_coding_is_read_from_the_header() -> None:
    assert avif.stored_as(file_of(PIXELS[..., :3], lossless=True)).lossless
    assert avif.stored_as(file_of(PIXELS[..., :3], subsample_mode="on")).subsampled
    full = avif.stored_as(file_of(PIXELS[..., :3], subsample_mode="off"))
    assert (full.subsampled, full.lossless, full.cicp) == (False, False, None)
    assert avif.stored_as(b"").cicp is None


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("options", [{"lossless": True}, {"subsample_mode": "off"}, {"subsample_mode": "on"}])
def test_the_colour_description_is_replaced_or_added_and_pixels_stay(bands: int, options: dict) -> None:
    plain = file_of(PIXELS[..., :bands], **options)
    data = avif.embed(plain, EXIF, None, (9, 16))
    assert avif.stored_as(data).cicp == (9, 16)
    with PIL.Image.open(io.BytesIO(data)) as image, PIL.Image.open(io.BytesIO(plain)) as before:
        assert np.array_equal(np.asarray(image), np.asarray(before))
    box = Box(0, 0, 34, 21)
    assert np.array_equal(decode(data).read(box), decode(plain).read(box))


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x08ftyp", b"\0\0\0\x02ftypavif", b"\0\0\0\x10meta" + bytes(8)])
def test_data_without_the_boxes_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="AVIF"):
        avif.embed(data, b"x", None)


@pytest.mark.parametrize("bits", [10, 12])
def test_white_is_white_and_deep_values_come_back(bits: int) -> None:
    steps = np.linspace(0, 2**bits - 1, 64).round().astype(np.uint16)
    stored = np.repeat(steps << (16 - bits), 3).reshape(8, 8, 3)
    image = pyvips.Image.new_from_array(stored, interpretation="rgb16")
    photo = decode(image.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True, keep="icc"))
    got = photo.read(Box(0, 0, 8, 8))
    assert (got.min(), got.max(), photo.coding.bits) == (0, 65535, bits)
    assert np.abs(got - np.repeat(steps, 3).reshape(8, 8, 3) * (65535 / (2**bits - 1))).max() <= 1


def test_an_image_sequence_is_said() -> None:
    """Its main picture is read; the frames of the track are left out."""
    file = io.BytesIO()
    PIL.Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(file, "avif")
    still = file.getvalue()
    assert decode(still).notes == ()
    assert decode(still.replace(b"avif", b"avis", 1)).notes == ("only the main picture of an image sequence was read",)
