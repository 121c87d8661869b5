"""PNG chunks: metadata wherever it stands, and what the file states of its colours."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import pyvips

import roundtrip_photos
from allfocus.errors import InputError
from allfocus.photo import png
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box

RGB = np.random.default_rng(0).integers(0, 255, (23, 37, 3), dtype=np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r xmp:Rating="4"/></x:xmpmeta>'


def with_chunks(*chunks: bytes, pixels: np.ndarray = RGB, behind: bool = False) -> bytes:
    """A PNG with more chunks, before its pixels or behind them."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "png")
    data = file.getvalue()
    at = len(data) - 12 if behind else 33
    return data[:at] + b"".join(chunks) + data[at:]


def whole(photo: Photo) -> np.ndarray:
    return photo.read(Box(0, 0, photo.width, photo.height))


def test_metadata_behind_the_pixels_is_read() -> None:
    exif = roundtrip_photos.exif_blob(6)
    data = with_chunks(png.chunk(b"eXIf", exif), png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), behind=True)
    photo = decode(data)
    assert photo.exif == roundtrip_photos.exif_blob(1)
    assert photo.xmp == XMP
    assert (photo.width, photo.height) == (23, 37), "the orientation is applied"
    assert np.array_equal(whole(photo), np.rot90(RGB, -1))


def test_compressed_and_old_spellings_are_read() -> None:
    exif = roundtrip_photos.exif_blob(1)
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)
    text = b"\nexif\n%8d\n" % (len(exif) + 6) + (b"Exif\0\0" + exif).hex().encode() + b"\n"
    old = b"Raw profile type exif\0\0" + zlib.compress(text)
    photo = decode(with_chunks(png.chunk(b"iTXt", packed), png.chunk(b"zTXt", old)))
    assert (photo.xmp, photo.exif, photo.notes) == (XMP, exif, ())


def test_what_is_left_out_is_said() -> None:
    broken = bytearray(png.chunk(b"eXIf", roundtrip_photos.exif_blob(1)))
    broken[-1] ^= 1
    photo = decode(with_chunks(png.chunk(b"tEXt", b"Author\0me"), bytes(broken), behind=True))
    assert photo.exif is None
    assert photo.notes == ("1 text chunk was left out", "a damaged eXIf chunk was left out")
    frames = io.BytesIO()
    first, second = PIL.Image.fromarray(RGB), PIL.Image.fromarray(255 - RGB)
    first.save(frames, "png", save_all=True, append_images=[second])
    assert decode(frames.getvalue()).notes == ("only the first of 2 frames was read",)


def gamma_chunks(gamma: float, where: tuple[float, ...] | None = None) -> list[bytes]:
    chunks = [png.chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))]
    if where is not None:
        chunks.append(png.chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in where))))
    return chunks


def seen(data: bytes) -> np.ndarray:
    """The colours of a picture as an sRGB screen shows them."""
    image = pyvips.Image.new_from_buffer(data, "")
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform("srgb", embedded=True, intent="relative", depth=8)
    return image.numpy().astype(int)


@pytest.mark.parametrize("format", ["png", "tiff", "jpeg"])
def test_a_stated_gamma_becomes_a_profile(format: str) -> None:
    """Linear light, which looks far too dark where the statement is lost."""
    ramp = np.repeat(np.linspace(10, 250, 64).astype(np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0)
    photo = decode(with_chunks(*gamma_chunks(1.0), pixels=ramp))
    assert photo.notes == ("the stated gamma and chromaticities were made an ICC profile",)
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        canvas.write(Box(0, 0, photo.width, photo.height), whole(photo))
        out = encode(photo, canvas, None, format=format)
    assert out is not None
    light = ramp / 255
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(seen(out) - expected).max() < 3


def test_stated_chromaticities_become_a_profile() -> None:
    """Those of Display P3, against the profile that libvips brings for it."""
    p3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    pixels = np.random.default_rng(1).integers(90, 150, (16, 16, 3), dtype=np.uint8)
    photo = decode(with_chunks(*gamma_chunks(1 / 2.2, p3), pixels=pixels))
    assert photo.icc is not None
    image = pyvips.Image.new_from_array(pixels)
    shown = []
    for profile in (photo.icc, pyvips.Image.profile_load("p3")):
        tagged = image.copy()
        tagged.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
        shown.append(tagged.icc_transform("srgb", embedded=True, intent="relative", depth=8).numpy().astype(int))
    assert np.abs(shown[0] - shown[1]).max() <= 4
    assert np.abs(shown[0] - pixels.astype(int)).max() > 6, "without it the colours are others"


def test_grey_gets_a_grey_profile_and_usual_values_none() -> None:
    grey = decode(with_chunks(*gamma_chunks(1 / 1.8), pixels=RGB[..., 0]))
    assert grey.icc is not None
    assert grey.icc[16:20] == b"GRAY"
    assert decode(with_chunks(*gamma_chunks(0.45455, png.SRGB_CHROMATICITIES))).icc is None
    assert decode(with_chunks(*gamma_chunks(1.0), png.chunk(b"sRGB", b"\0"))).icc is None
    nonsense = decode(with_chunks(*gamma_chunks(1.0, (0.3,) * 8)))
    assert nonsense.icc is None
    assert "left out" in nonsense.notes[0]


def test_a_size_that_the_file_cannot_hold_is_refused() -> None:
    data = bytearray(with_chunks())
    struct.pack_into(">II", data, 16, 22_000, 22_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    with pytest.raises(InputError, match="cannot hold the 22000x22000 pixels"):
        decode(bytes(data))


def test_what_can_be_read_of_a_cut_file_is_restored_if_allowed() -> None:
    data = with_chunks(pixels=np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="damaged"):
        decode(data[: len(data) // 2])
    photo = decode(data[: len(data) // 2], allow_damaged=True)
    assert (photo.width, photo.height) == (300, 200)
    assert "the file is damaged" in photo.notes[-1]
