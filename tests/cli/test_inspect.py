"""`allfocus inspect` from photo to figure, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.cli.main import main


def run(*arguments: object) -> int:
    """The command's exit code."""
    try:
        main(["inspect", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    pyvips.Image.new_from_array(pixels).write_to_file(str(tmp_path / "a.png"))
    return tmp_path / "a.png"


def test_a_figure_and_numbers(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(photo, "--at", "30,12") == 0
    told = capfd.readouterr().out
    assert f"{photo.with_name('a.inspect.png')}  a.png at 30,12, blur radius" in told
    assert "kernels of 35x35 cells of 16 px: " in told
    assert photo.with_name("a.inspect.png").is_file()
    assert run(photo, "--at", "30,12", "--json", "--overwrite") == 0
    row = json.loads(capfd.readouterr().out)
    assert (row["model"], row["at"]) == ("ifan-fast", [30, 12])
    assert not {"sign", "side", "disparity", "coc_px"} & row.keys(), "one photo does not tell the side of the focus"
    assert not any(word in told for word in ("behind", "before the focus", "in front"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--at", "30"), "the place '30'; expected two whole numbers, in px"),
        (("--at", "-1,2"), "the place '-1,2'"),
        (("--at", "56,0"), "the place 56,0; expected one in the photo of 56x40"),
        (("--at", "1,1", "--scale", "3"), "scale 3"),
        (("--at", "1,1", "--model", "none"), "no model is called 'none'"),
        (("--at", "1,1", "-o", "a.jpg"), "a name ending in .png"),
    ],
)
def test_refusals_leave_nothing_behind(
    photo: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert run(photo, *arguments) == 2
    assert told in capfd.readouterr().err
    assert [path.name for path in photo.parent.iterdir()] == ["a.png"]
