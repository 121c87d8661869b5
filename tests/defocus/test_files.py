"""The map's two files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile

from allfocus.defocus.files import (
    STRIP_ROWS,
    check_files,
    coloured,
    peak_of,
    picture_beside,
    write_picture,
    write_tiff,
)
from allfocus.defocus.map import DefocusMap
from allfocus.errors import OptionError, OutputError
from map_files import read_tiff


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (120, 300)])
def test_numbers_come_back_within_half_a_step(tmp_path: Path, size: tuple[int, int]) -> None:
    radius_px = np.random.default_rng(0).random(size) * 20
    write_tiff(radius_px, tmp_path / "a.tiff", "ebdb")
    np.testing.assert_allclose(read_tiff(tmp_path / "a.tiff"), radius_px, atol=0.0051)
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        said = json.loads(file.pages[0].tags["ImageDescription"].value)  # type: ignore[union-attr]
    assert said == {"quantity": "blur radius", "unit": "px", "step": 0.01, "method": "ebdb"}
    assert pyvips.Image.new_from_file(str(tmp_path / "a.tiff")).format == "ushort"


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (120, 300)])
def test_the_picture_has_the_map_above_a_legend(tmp_path: Path, size: tuple[int, int]) -> None:
    write_picture(np.full(size, 5.0), tmp_path / "a.png", 10.0)
    picture = pyvips.Image.new_from_file(str(tmp_path / "a.png")).numpy()
    height, width = size
    assert picture.shape == (height + 64, max(width, 200), 3)
    middle = (picture[:height] == coloured(np.array([[0.5]]))).all(axis=2)
    assert middle.sum() == height * width
    assert picture[height:].max() > 200  # words


def test_colours_only_get_lighter() -> None:
    lightness = coloured(np.linspace(-0.2, 1.2, 300)[None])[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) >= -1).all()
    assert lightness[-1] > lightness[0] + 150


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a.tiff").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="already exists"):
        write_tiff(np.zeros((2, 2)), tmp_path / "a.tiff", "ebdb")
    assert (tmp_path / "a.tiff").read_text(encoding="utf-8") == "mine"
    write_tiff(np.zeros((2, 2)), tmp_path / "a.tiff", "ebdb", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tiff"]


def test_the_map_of_a_restored_photo_is_written_strip_by_strip(tmp_path: Path) -> None:
    radius = DefocusMap(70, 2 * STRIP_ROWS + 9, 16)
    radius.signed_px[:] = np.random.default_rng(0).normal(0, 10, radius.signed_px.shape)
    write_tiff(radius, tmp_path / "a.tiff", "ifan")
    np.testing.assert_allclose(read_tiff(tmp_path / "a.tiff"), radius.read(), atol=0.0051)
    write_tiff(radius.read(), tmp_path / "b.tiff", "ifan")
    assert (tmp_path / "a.tiff").read_bytes() == (tmp_path / "b.tiff").read_bytes()
    write_picture(radius, picture_beside(tmp_path / "a.tiff"), peak_of(radius))
    picture = pyvips.Image.new_from_file(str(tmp_path / "a.map.png")).numpy()
    np.testing.assert_array_equal(picture[: radius.height, 65:135], coloured(radius.read() / 32.0))


@pytest.mark.parametrize(("largest_px", "peak_px"), [(0.0, 4.0), (4.5, 8.0), (17.0, 32.0), (500.0, 128.0)])
def test_the_brightest_colour_is_4_px_or_a_double(largest_px: float, peak_px: float) -> None:
    radius = DefocusMap(160, 160, 16)
    radius.signed_px[:] = -largest_px
    assert peak_of(radius) == peak_px


@pytest.mark.parametrize(("numbers", "picture"), [("a.tiff", "a.map.png"), ("a.map.tiff", "a.map.png")])
def test_the_picture_never_has_the_name_of_a_photo(numbers: str, picture: str) -> None:
    assert picture_beside(Path("x") / numbers) == Path("x") / picture


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"a\.png for the numbers; expected a name ending in \.tiff"):
        check_files(tmp_path / "a.png")
    (tmp_path / "a.map.png").touch()
    with pytest.raises(OutputError, match=r"a\.map\.png already exists"):
        check_files(tmp_path / "a.tiff")
    check_files(tmp_path / "a.tiff", picture=False)
    check_files(tmp_path / "a.tiff", overwrite=True)
