from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

import roundtrip_photos
from allfocus.photo import exif
from allfocus.photo.exif import ExifEntry
from allfocus.photo.orientation import upright_exif


def big_endian_blob() -> bytes:
    """Make, orientation 8 and an EXIF directory with a rational, words and an opaque value, big-endian."""
    inner = struct.pack(">H", 3) + struct.pack(">HHII", 0x829A, 5, 1, 92) + struct.pack(">HHIHxx", 0x8827, 3, 1, 640)
    inner += struct.pack(">HHI4s", 0x9000, 7, 4, b"0232") + bytes(4)
    first = struct.pack(">H", 3) + struct.pack(">HHI4s", 0x010F, 2, 4, b"abc\0")
    first += struct.pack(">HHIHxx", 0x0112, 3, 1, 8) + struct.pack(">HHII", 0x8769, 4, 1, 50) + bytes(4)
    return b"MM\0*" + struct.pack(">I", 8) + first + inner + struct.pack(">II", 1, 60)


def test_a_block_is_read_with_its_directories() -> None:
    tags = exif.read(io.BytesIO(roundtrip_photos.exif_blob(6)))
    assert tags.numbers(exif.ORIENTATION) == (6,)
    assert tags.numbers(0x010F) == ()  # text is no number
    inner = tags.entries[exif.EXIF_POINTER]
    assert isinstance(inner, dict)
    assert inner[0x927C] == ExifEntry(*roundtrip_photos.EXIF_IFD[0x927C])
    assert isinstance(tags.entries[exif.GPS_POINTER], dict)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for mark in (b"", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0"):
        assert len(upright_exif(mark + data)[0]) == len(mark + data)
        try:
            tags = exif.read(io.BytesIO(mark + data))
        except ValueError:
            continue
        blob = exif.blob(tags)
        if blob is not None:
            exif.read(io.BytesIO(blob))


@given(st.integers(0, 600), st.binary(min_size=1, max_size=8))
def test_no_damage_to_a_real_block_breaks_the_reader(place: int, damage: bytes) -> None:
    blob = bytearray(big_endian_blob() * 2)
    place %= len(blob)
    blob[place : place + len(damage)] = damage
    upright_exif(bytes(blob))
    try:
        tags = exif.read(io.BytesIO(bytes(blob)))
    except ValueError:
        return
    assert exif.blob(tags) is None or exif.read(io.BytesIO(exif.blob(tags) or b"")).order == tags.order


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_added_to_a_tiff_are_read_by_tifffile(big: bool, order: str) -> None:
    pixels = np.arange(60, dtype=np.uint16).reshape(6, 10)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, bigtiff=big, byteorder=order, software="kept as it was")
    exif.append(file, roundtrip_photos.exif_blob(6))
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        tags = tiff.pages.first.tags
        assert np.array_equal(tiff.asarray(), pixels)
        assert tags["Software"].value == "kept as it was"
        assert tags["Make"].value == "Allfocus"
        assert "Orientation" not in tags or tags["Orientation"].value == 1
        inner, gps = tags["ExifTag"].value, tags["GPSTag"].value
        assert inner["ISOSpeedRatings"] == 400
        assert inner["ExposureTime"] == (1, 250)
        assert inner["MakerNote"] == roundtrip_photos.EXIF_IFD[0x927C][2]
        assert gps["GPSLatitude"] == (47, 1, 22, 1, 3012, 100)
        assert list(tags.keys()) == sorted(tags.keys())


def test_byte_orders_are_turned_for_numbers_and_for_nothing_else() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((2, 2), np.uint8), byteorder="<")
    exif.append(file, big_endian_blob())
    tags = exif.read(file)
    inner = tags.entries[exif.EXIF_POINTER]
    assert isinstance(inner, dict)
    assert inner[0x829A] == ExifEntry(5, 1, struct.pack("<II", 1, 60))
    assert inner[0x8827] == ExifEntry(3, 1, struct.pack("<H", 640))
    assert inner[0x9000] == ExifEntry(7, 4, b"0232")
    assert tags.entries[0x010F] == ExifEntry(2, 4, b"abc\0")


def test_a_tiffs_block_says_nothing_of_its_pixels() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    tags = exif.read(io.BytesIO(roundtrip_photos.tiff_file(pixels, 6, True, b"icc", b"xmp")))
    blob = exif.blob(tags)
    assert blob is not None
    kept = exif.read(io.BytesIO(blob)).entries
    assert set(kept) == {*roundtrip_photos.IFD0, exif.ORIENTATION, exif.EXIF_POINTER, exif.GPS_POINTER}
    bare = exif.read(io.BytesIO(roundtrip_photos.tiff_file(pixels, None, False, None, None)))
    assert exif.blob(bare) is None


def test_a_damaged_block_is_not_added() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((2, 2), np.uint8))
    before = file.getvalue()
    with pytest.raises(ValueError, match="TIFF"):
        exif.append(file, b"nothing")
    assert file.getvalue() == before
