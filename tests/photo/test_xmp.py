"""The orientation that an XMP packet states."""

from __future__ import annotations

import pytest

from allfocus.photo import xmp


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
    assert xmp.upright(before)[0] == after
