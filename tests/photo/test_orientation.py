"""The orientation that EXIF or an XMP packet states."""

from __future__ import annotations

import pytest

import roundtrip_photos
from allfocus.photo.orientation import upright_exif, upright_xmp
from photo.test_exif import big_endian_blob


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
    assert upright_xmp(before)[0] == after


def test_only_the_orientation_is_changed() -> None:
    for orientation in range(1, 9):
        blob = roundtrip_photos.exif_blob(orientation)
        upright, was = upright_exif(blob)
        assert was == orientation
        assert upright == roundtrip_photos.exif_blob(1)
    upright, was = upright_exif(big_endian_blob())
    assert was == 8
    assert sum(one != other for one, other in zip(upright, big_endian_blob(), strict=True)) == 1


def test_a_nonsense_orientation_counts_as_upright() -> None:
    assert upright_exif(roundtrip_photos.exif_blob(77)) == (roundtrip_photos.exif_blob(1), 1)
