"""Decoding and encoding together: what went through a file is the photo that it was."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.Image
import pytest
import pyvips
import tifffile

import roundtrip_photos
from allfocus.photo.codecs import decode, encode
from allfocus.photo.photo import Photo
from photo_files import FORMATS, RGB, canvas_of, pillow, tiff, whole


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (7, 13)])
def test_every_size_goes_through_every_format(format: str, width: int, height: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    photo = decode(pixels)
    data = encode(photo, canvas_of(photo), None, format=format)
    assert data is not None
    back = decode(data)
    assert (back.width, back.height, back.bands, back.format) == (width, height, 3, format)
    if format in ("png", "tiff"):
        assert np.array_equal(whole(back), pixels)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_a_tiff_keeps_its_compression_and_tiling(compression: str | None, tile: tuple[int, int] | None) -> None:
    if compression == "lzw":
        data = pyvips.Image.new_from_array(RGB).tiffsave_buffer(
            compression="lzw", tile=bool(tile), tile_width=32, tile_height=16
        )
    else:
        data = tiff(RGB, photometric="rgb", compression=compression, tile=tile)
    photo = decode(data)
    out = encode(photo, canvas_of(photo), None)
    assert out is not None
    with tifffile.TiffFile(io.BytesIO(out)) as file, tifffile.TiffFile(io.BytesIO(data)) as before:
        page, was = file.pages.first, before.pages.first
        assert (page.is_tiled, page.tile) == (was.is_tiled, was.tile)
        assert (page.compression == 1) == (was.compression == 1)
        assert np.array_equal(page.asarray() if compression != "lzw" else whole(decode(out)), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp"])
def test_photos_are_set_upright(orientation: int, format: str) -> None:
    case = roundtrip_photos.Case(format, format, 8, "rgb", format in ("png", "tiff"), "all", orientation)
    stored = roundtrip_photos.picture(case)
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1), 7: stored[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(stored),
    }[orientation]  # fmt: skip
    photo = decode(roundtrip_photos.sample(case))
    got = whole(photo).astype(int)
    if photo.alpha is not None:
        got = np.dstack([got, photo.alpha.numpy()])
    limit = 0 if format in ("png", "tiff") else 60
    assert got.shape == upright.shape
    assert np.abs(got - upright).max() <= limit
    assert photo.exif is not None
    assert (
        photo.exif
        == decode(roundtrip_photos.sample(roundtrip_photos.Case(format, format, 8, "rgb", case.alpha, "all", 1))).exif
    )


def test_many_threads_decode_and_encode_at_once() -> None:
    files = [pillow(RGB[::step], format) for format in ("png", "tiff") for step in (1, 2, 3)]

    def through(data: bytes) -> bool:
        photo = decode(data)
        with canvas_of(photo) as canvas:
            back = decode(encode(photo, canvas, None) or b"")
        return np.array_equal(whole(back), whole(photo))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(through, files * 4))


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_an_orientation_that_only_xmp_states_is_applied(format: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    plain = decode(RGB)
    turned = Photo.from_bands(plain.image, "array", xmp=xmp)
    photo = decode(encode(turned, canvas_of(plain), None, format=format) or b"")
    assert (photo.width, photo.height) == (60, 90)
    assert photo.xmp == xmp.replace(b'"6"', b'"1"')


def test_what_exif_says_of_the_size_turns_with_the_picture() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0xA002: 90, 0xA003: 60})
    photo = decode(pillow(RGB, "jpeg", exif=exif, quality=95))
    read = PIL.Image.open(io.BytesIO(encode(photo, canvas_of(photo), None) or b"")).getexif()
    assert (photo.width, photo.height) == (60, 90)
    assert [read.get_ifd(0x8769)[tag] for tag in (0xA002, 0xA003)] == [60, 90]
