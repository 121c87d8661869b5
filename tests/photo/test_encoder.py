"""Encoding: which format, what is refused before the work, and that nothing is left behind."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.errors import OptionError, OutputError
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode, losses
from photo_files import FORMATS, NOISE, RGB, canvas_of, pillow, whole


@pytest.mark.parametrize("format", FORMATS)
def test_the_ending_chooses_the_format(tmp_path: Path, format: str) -> None:
    photo = decode(RGB)
    target = tmp_path / f"out.{format}"
    assert encode(photo, canvas_of(photo), target) is None
    assert decode(target).format == format
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == encode(photo, canvas_of(photo), None, format=format)


def test_without_an_ending_it_is_the_photos_own(tmp_path: Path) -> None:
    photo = decode(pillow(RGB, "webp"))
    encode(photo, canvas_of(photo), tmp_path / "out")
    assert decode(tmp_path / "out").format == "webp"
    assert decode(encode(decode(RGB), canvas_of(decode(RGB)), None) or b"").format == "png"


def test_what_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    photo = decode(RGB)
    with pytest.raises(OptionError, match=r"out.gif is a .gif; expected one of .jpg, .png, .tif, .webp, .avif"):
        encode(photo, canvas_of(photo), tmp_path / "out.gif")
    with pytest.raises(OptionError, match="the format 'bmp'"):
        encode(photo, canvas_of(photo), None, format="bmp")
    with pytest.raises(OptionError, match="quality 0; expected a quality from 1 to 100"):
        encode(photo, canvas_of(photo), None, format="jpeg", quality=0)
    with pytest.raises(ValueError, match="3 uint8 bands"):
        encode(photo, Canvas(90, 60, 1, "uint8"), None)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_too_long_for_the_format_is_refused() -> None:
    photo = decode(np.zeros((1, 16_400, 3), np.uint8))
    with pytest.raises(
        OutputError, match="16400x1 pixels does not fit into WebP; expected at most 16383 pixels a side"
    ):
        encode(photo, canvas_of(photo), None, format="webp")


def test_an_encoder_that_gives_up_is_not_blamed_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(self: object, **_: object) -> bytes:
        raise pyvips.Error("unable to call webpsave_buffer", "webpsave: unable to encode")

    photo = decode(RGB)
    monkeypatch.setattr(pyvips.Image, "webpsave_buffer", gives_up, raising=False)
    for target in (tmp_path / "out.webp", None):
        with pytest.raises(OutputError, match=r"WebP cannot hold this picture of 90x60 \(unable to encode\)"):
            encode(photo, canvas_of(photo), target, format="webp")
    assert list(tmp_path.iterdir()) == []


def test_lower_quality_is_smaller() -> None:
    photo = decode(RGB)
    for format in ("jpeg", "webp", "avif"):
        small, large = (encode(photo, canvas_of(photo), None, format=format, quality=quality) for quality in (20, 95))
        assert len(small or b"") < len(large or b"")


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    photo = decode(RGB)
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="already exists"):
        encode(photo, canvas_of(photo), target)
    assert target.read_bytes() == b"precious"
    encode(photo, canvas_of(photo), target, overwrite=True)
    assert decode(target).width == 90


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, format: str) -> None:
    """In a process of its own whose files may not grow over 20 kB, which writing sees as a disk that is full."""
    program = """
import resource, signal, sys
import numpy as np
from allfocus.errors import OutputError
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
photo = decode(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
canvas = Canvas(200, 200, 3, "uint8")
from allfocus.photo.tiling import Box
canvas.write(Box(0, 0, 200, 200), photo.read(Box(0, 0, 200, 200)))
try:
    encode(photo, canvas, sys.argv[1])
except OutputError as error:
    print(error)
"""
    target = tmp_path / f"out.{format}"
    done = subprocess.run([sys.executable, "-c", program, target], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert f"{target} could not be written (" in done.stdout
    assert done.stdout.endswith("try: another -o, or free some space\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_the_disks_own_words_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    def full(self: object, data: object) -> int:
        self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # type: ignore[attr-defined]
        return -1

    monkeypatch.setattr("allfocus.photo.splice.Splice._write", full)
    photo = decode(RGB)
    with pytest.raises(OutputError, match=r"could not be written \(No space left on device\)"):
        encode(photo, canvas_of(photo), tmp_path / f"out.{format}")
    assert list(tmp_path.iterdir()) == []


def test_what_is_lost_is_known_before_writing() -> None:
    deep = decode(NOISE.astype(np.uint16) * 257)
    assert losses(deep, format="tiff") == losses(deep, format="png") == ()
    assert losses(deep, "x.jpg") == (
        "16-bit samples were rounded to 8 bit, all that JPEG holds",
        "transparency was left out: JPEG holds none",
    )
    assert losses(deep, "x.avif") == ("16-bit samples were rounded to 12 bit, all that AVIF holds",)


def test_sixteen_bits_are_rounded_to_the_nearest_of_eight() -> None:
    steps = np.arange(0, 65536, 7, dtype=np.uint16).reshape(1, -1)
    photo = decode(steps)
    back = decode(encode(photo, canvas_of(photo), None, format="jpeg", quality=100) or b"")
    assert np.abs(whole(back)[0, :, 0] - np.rint(steps[0] / 257)).max() <= 1
    deep = decode(encode(decode(steps / np.float32(65535)), canvas_of(decode(steps / np.float32(65535))), None) or b"")
    assert np.array_equal(whole(deep)[..., 0], steps)


@pytest.mark.parametrize("format", FORMATS)
def test_the_photo_goes_as_soon_as_its_file_is_written(tmp_path: Path, format: str) -> None:
    gc.disable()  # what only it would find stays in memory for many photos
    try:
        photo = decode(pillow(RGB, format))
        held = weakref.ref(photo)
        canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
        encode(photo, canvas, tmp_path / f"file.{format}")
        canvas.close()
        del photo, canvas
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_result_has_the_permissions_of_its_source(tmp_path: Path, mode: int) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    source.write_bytes(pillow(RGB, "png"))
    source.chmod(mode)
    photo = decode(source)
    encode(photo, canvas_of(photo), target)
    assert target.stat().st_mode & 0o777 == mode | 0o200, "its owner can write to it"
    assert source.stat().st_mode & 0o777 == mode
