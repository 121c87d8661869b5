from __future__ import annotations

import sys
from pathlib import Path

import pytest

from allfocus.errors import InputError, MissingExtraError
from allfocus.photo.codecs import decode
from raws import dng


@pytest.mark.parametrize("name", [None, "photo.dng", "photo.tif"])
def test_a_dng_is_known_by_its_tags_and_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    source: bytes | Path = dng()
    if name:
        source = tmp_path / name
        source.write_bytes(dng())
    with pytest.raises(MissingExtraError, match=r"\(camera raw\) needs rawpy .* pip install 'allfocus\[raw\]'"):
        decode(source)


def test_a_dng_is_developed_to_16_bit() -> None:
    pytest.importorskip("rawpy")
    photo = decode(dng())
    assert (photo.format, photo.width, photo.height, photo.bands, photo.depth) == ("raw", 96, 64, 3, 16)
    assert "developed" in photo.notes[0]
    assert b"Maker" in (photo.exif or b"")
    with pytest.raises(InputError, match=r"at most 0\.0001 megapixels"):
        decode(dng(), max_pixels=100)


def test_a_raw_file_that_libraw_does_not_know() -> None:
    pytest.importorskip("rawpy")
    with pytest.raises(InputError, match="cannot be developed"):
        decode(b"FUJIFILMCCD-RAW 0201" + bytes(500))
