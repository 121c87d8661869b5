from __future__ import annotations

import io
import sys

import numpy as np
import PIL.Image
import pytest

from allfocus.errors import InputError, MissingExtraError
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box

HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtraError, match=r"\(HEIC\) needs pillow-heif .* pip install 'allfocus\[heic\]'"):
        decode(HEAD)


def test_a_heic_photo_with_its_metadata() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    y, x = np.mgrid[0:40, 0:60]
    pixels = np.stack([x * 4, y * 6, x + y], -1).astype(np.uint8)
    file = io.BytesIO()
    exif = b"II*\0\x08\0\0\0" + bytes(6)
    heif = pillow_heif.from_pillow(PIL.Image.fromarray(pixels))
    heif.save(file, quality=95, chroma=444, exif=b"Exif\0\0" + exif, xmp=b"<x/>")
    data = file.getvalue()
    photo = decode(data)
    assert (photo.format, photo.depth, photo.exif, photo.xmp) == ("heic", 8, exif, b"<x/>")
    assert np.abs(photo.read(Box(0, 0, 60, 40)).astype(int) - pixels).max() < 12
    with pytest.raises(InputError, match="damaged or cut short"):
        decode(data[: len(data) // 2])
    with pytest.raises(InputError, match="60x40 pixels"):
        decode(data, max_pixels=100)
