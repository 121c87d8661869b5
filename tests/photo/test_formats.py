from __future__ import annotations

import pytest

from allfocus.photo import formats


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
