from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from allfocus.errors import InputError
from allfocus.photo import formats
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode, header, losses
from allfocus.photo.tiling import Box


@pytest.mark.parametrize(
    ("head", "name", "format"),
    [
        (b"\xff\xd8\xff\xe0", "", "jpeg"),
        (b"\x89PNG\r\n\x1a\n", "photo.jpg", "png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "", "webp"),
        (b"II*\0\x08\0\0\0", "a.tif", "tiff"),
        (b"MM\0*\0\0\0\x08", "", "tiff"),
        (b"II+\0\x08\0\0\0", "", "tiff"),
        (b"II*\0\x08\0\0\0", "a.NEF", "raw"),
        (b"II*\0\x10\0\0\0CR\x02\0", "", "raw"),
        (b"FUJIFILMCCD-RAW 0201", "", "raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "", "raw"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf", "", "avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "", "avif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "", "heic"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41avc1", "", None),
        (b"GIF89a", "photo.jpg", None),
        (b"", "", None),
    ],
)
def test_the_first_bytes_tell_the_format(head: bytes, name: str, format: str | None) -> None:
    assert formats.sniff(head, name) == format


@pytest.mark.parametrize(
    ("name", "format"), [("a.JPG", "jpeg"), ("b.tiff", "tiff"), ("c.webp", "webp"), ("d.heic", None), ("e", None)]
)
def test_the_ending_tells_what_to_write(name: str, format: str | None) -> None:
    assert formats.of_name(name) == format


def test_every_format_has_an_ending_that_leads_back_to_it() -> None:
    for format in formats.FORMATS.values():
        assert formats.of_name("x" + formats.extension(format.name)) == format.name
    assert [formats.extension(kind) for kind in ("heic", "raw", "array")] == [".jpg", ".tif", ".png"]


def canvas_of(pixels: np.ndarray) -> Canvas:
    canvas = Canvas(pixels.shape[1], pixels.shape[0], pixels.shape[2], pixels.dtype)
    canvas.write(Box(0, 0, canvas.width, canvas.height), pixels)
    return canvas


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_keeps_the_contract(name: str, tmp_path: Path) -> None:
    """What is written is known again by its first bytes, has its size, and its pixels but for loss and rounding."""
    format = formats.FORMATS[name]
    down, across = np.mgrid[0:24, 0:40]
    pixels = np.stack([6 * across, 10 * down, 3 * across + 4 * down], axis=2).astype(np.uint8)
    photo = decode(pixels)
    target = tmp_path / f"photo{format.extensions[0]}"
    with canvas_of(pixels) as canvas:
        encode(photo, canvas, target)
        data = encode(photo, canvas, None, format=name)
    assert data is not None and formats.of_name(target) == name == formats.sniff(data[:64])
    for source in (target, data):
        again = decode(source)
        assert (again.format, again.width, again.height, again.bands) == (name, 40, 24, 3)
        assert header(source) in [(name, 40, 24), (name, None, None)]
        found = again.unit().read(Box(0, 0, 40, 24))
        assert np.abs(found - pixels / 255.0).max() < (0.001 if format.quality is None else 0.15)
    with pytest.raises(InputError, match=format.title):
        decode(data[: len(data) // 2])
    deep = decode(np.zeros((4, 6, 4), np.float32))
    told = " ".join(losses(deep, format=name))
    assert ("rounded to" in told) == (format.depth < 32)
    assert ("transparency was left out" in told) == (not format.alpha)
    assert format.title and "/" in format.media and format.largest > 10_000
    assert {"ICC", "EXIF", "XMP"} >= format.holds
