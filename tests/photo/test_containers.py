from __future__ import annotations

import io
from types import ModuleType

import numpy as np
import PIL.Image
import pytest
import pyvips

from allfocus.photo import containers
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode, losses
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box


def test_too_large_for_a_jpeg_segment_is_left_out_and_said(roundtrip: ModuleType) -> None:
    case = roundtrip.Case("png", "jpeg", 8, "rgb", False, "none", 1)
    exif, xmp = roundtrip.exif_blob(1) + bytes(70_000), b"<x/>" + b" " * 70_000
    photo = decode(roundtrip.png_file(roundtrip.picture(case), None, exif, xmp))
    assert (photo.exif, photo.xmp) == (exif, xmp)
    said = [note.split(" was left out")[0] for note in losses(photo, format="jpeg")]
    assert said == [f"EXIF of {len(exif)} bytes", f"XMP of {len(xmp)} bytes"]
    image = PIL.Image.open(io.BytesIO(unchanged(photo, "jpeg")))
    assert "exif" not in image.info
    assert "xmp" not in image.info
    assert losses(photo, format="webp") == ()


def unchanged(photo: Photo, format: str) -> bytes:
    box = Box(0, 0, photo.width, photo.height)
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        canvas.write(box, photo.read(box))
        data = encode(photo, canvas, None, format=format)
    assert data is not None
    return data


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'<r tiff:Orientation="6" x:y="6">', b'<r tiff:Orientation="1" x:y="6">'),
        (b"<r tiff:Orientation='8'>", b"<r tiff:Orientation='1'>"),
        (b"<tiff:Orientation>3</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b'<r tiff:Orientation="1">', b'<r tiff:Orientation="1">'),
        (b'<r tiff:Orientation="66">', b'<r tiff:Orientation="66">'),
        (b"<r crs:Orientation='6'>", b"<r crs:Orientation='6'>"),
    ],
)
def test_xmp_states_the_orientation_of_the_pixels(before: bytes, after: bytes) -> None:
    assert containers.upright_xmp(before) == after


def test_the_iptc_block_goes_from_jpeg_to_jpeg() -> None:
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0c\x1c\x02\x78\0\x07caption"
    plain = io.BytesIO()
    PIL.Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(plain, "jpeg")
    data = plain.getvalue()
    photo = decode(data[:2] + containers.jpeg_segments(None, None, block) + data[2:])
    assert photo.iptc == block
    assert block in unchanged(photo, "jpeg")
    assert losses(photo, format="png") == ("the IPTC block was left out: only JPEG files carry it here, not PNG",)


@pytest.mark.parametrize("format", ["png", "avif"])
def test_an_hdr_colour_description_stays(format: str) -> None:
    photo = decode(np.full((9, 8, 3), 30_000, np.uint16))
    hdr = Photo.from_bands(photo.image, format, coding=type(photo.coding)(bits=12, cicp=(9, 16)))
    back = decode(unchanged(hdr, format))
    assert back.coding.cicp == (9, 16)
    assert losses(back, format="jpeg")[-1] == "the wide or HDR colour description (CICP) was left out: JPEG holds none"


def test_a_profile_stands_above_a_colour_description() -> None:
    """As a cICP chunk would stand above the profile in a PNG, none is written."""
    photo = decode(np.full((9, 8, 3), 30_000, np.uint16))
    icc = pyvips.Image.profile_load("p3")
    both = Photo.from_bands(photo.image, "avif", icc=icc, coding=type(photo.coding)(bits=12, cicp=(9, 16)))
    assert decode(unchanged(both, "png")).coding.cicp is None
    assert decode(unchanged(both, "png")).icc == icc
    assert losses(both, format="tiff") == ()


def test_resolution_and_subsampling_stay() -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(file, "jpeg", dpi=(300, 300), subsampling=2)
    photo = decode(file.getvalue())
    for format in ("jpeg", "png", "tiff"):
        image = PIL.Image.open(io.BytesIO(unchanged(photo, format)))
        assert [round(float(dots)) for dots in image.info["dpi"]] == [300, 300]
    assert decode(unchanged(photo, "jpeg")).coding.subsampled
    assert not decode(unchanged(decode(noise), "jpeg")).coding.subsampled


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_without_a_resolution_the_usual_one_is_written(format: str) -> None:
    data = unchanged(decode(np.zeros((4, 4, 3), np.uint8)), format)
    assert [round(float(dots)) for dots in PIL.Image.open(io.BytesIO(data)).info["dpi"]] == [72, 72]


def test_an_unknown_resolution_stays_unknown_in_jpeg() -> None:
    image = PIL.Image.open(io.BytesIO(unchanged(decode(np.zeros((4, 4, 3), np.uint8)), "jpeg")))
    assert "dpi" not in image.info
    assert (image.info["jfif_unit"], image.info["jfif_density"]) == (0, (1, 1))
