"""The before/after picture shows what people see, whatever the photo is stored in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

from allfocus.comparison import GAP_PX, write_comparison
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box

COLOUR = (200, 120, 60)


def pixels() -> np.ndarray:
    return np.full((40, 60, 3), COLOUR, np.uint8)


def shown(path: Path) -> np.ndarray:
    """The colours in the middle of the left and of the right half of the first row."""
    photo = decode(path)
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    box = Box(0, 0, photo.width, photo.height)
    canvas.write(box, photo.read(box))
    write_comparison(photo, canvas, path.with_name("pair.jpg"))
    sheet = np.asarray(Image.open(path.with_name("pair.jpg")).convert("RGB")).astype(int)
    return np.stack([sheet[20, 30], sheet[20, 60 + 8 + 30]])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.jpg"])
def test_eight_bits(tmp_path: Path, name: str) -> None:
    pyvips.Image.new_from_array(pixels()).write_to_file(str(tmp_path / name))
    assert np.abs(shown(tmp_path / name) - COLOUR).max() <= 4


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_sixteen_bits_and_floats(tmp_path: Path, kind: type) -> None:
    deep = pixels().astype(np.float64) / 255 * (65535 if kind is np.uint16 else 1)
    tifffile.imwrite(tmp_path / "a.tif", deep.astype(kind), photometric="rgb")
    assert np.abs(shown(tmp_path / "a.tif") - COLOUR).max() <= 4


def test_cmyk(tmp_path: Path) -> None:
    Image.fromarray(pixels()).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    photo = decode(tmp_path / "a.jpg")  # sRGB by now
    seen = photo.read(Box(0, 0, 60, 40)).reshape(-1, 3).mean(axis=0)
    assert np.abs(shown(tmp_path / "a.jpg") - seen).max() <= 4


def test_another_profile_is_applied(tmp_path: Path) -> None:
    """In linear light the code for this colour is far lower; it is to look the same."""
    srgb = pyvips.Image.new_from_array(pixels()).copy(interpretation="srgb")
    srgb.colourspace("scrgb").icc_export(output_profile="p3", depth=8).write_to_file(str(tmp_path / "a.png"))
    stored = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))[5, 5].astype(int)
    assert np.abs(stored - COLOUR).max() > 8
    assert np.abs(shown(tmp_path / "a.png") - COLOUR).max() <= 6


@pytest.mark.parametrize("profile", [b"\0" * 200, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()])
def test_a_profile_that_says_nothing_here_is_left_out(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(pixels()).save(tmp_path / "a.png", icc_profile=profile)
    assert np.abs(shown(tmp_path / "a.png") - COLOUR).max() <= 4


@pytest.mark.parametrize(("height", "width"), [(240, 600), (600, 240)])
def test_rows_lie_close_together(tmp_path: Path, height: int, width: int) -> None:
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(tmp_path / "a.png")
    shown(tmp_path / "a.png")
    light = np.asarray(Image.open(tmp_path / "pair.jpg").convert("L")).mean(axis=1) > 200
    gaps = np.flatnonzero(np.diff(np.concatenate([[False], light, [False]]).astype(int))).reshape(-1, 2)
    assert gaps.shape == (3, 2) and np.ptp(gaps, axis=1).max() <= GAP_PX + 2


def test_transparency_is_shown_over_white_and_grey_in_grey(tmp_path: Path) -> None:
    clear = np.dstack([pixels(), np.zeros((40, 60), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "a.png")
    assert shown(tmp_path / "a.png").min() >= 250
    Image.fromarray(np.full((40, 60), 90, np.uint8)).save(tmp_path / "grey.png")
    (tmp_path / "pair.jpg").unlink()
    assert np.abs(shown(tmp_path / "grey.png") - 90).max() <= 4
