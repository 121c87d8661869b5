"""`allfocus map` from photo to files, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips
import typer
from typer.testing import CliRunner

from allfocus.cli.map import map_command
from allfocus.errors import AllfocusError, InputError, OptionError, WeightsError
from map_files import read_tiff

application = typer.Typer()
application.command()(map_command)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(application, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    pyvips.Image.new_from_array(pixels).write_to_file(str(tmp_path / "photo.png"))
    return tmp_path / "photo.png"


@pytest.mark.parametrize("method", ["ebdb", "jnb"])
def test_both_files_are_written_beside_the_photo(photo: Path, method: str) -> None:
    before = photo.read_bytes()
    row = json.loads(run(str(photo), "--method", method, "--json"))
    assert row["method"] == method
    assert Path(row["output"]) == photo.with_name("photo.map.tiff")
    assert read_tiff(photo.with_name("photo.map.tiff")).shape == (40, 56)
    assert Path(row["picture"]).is_file()
    assert set(row["radius_px"]) == {"25", "50", "75", "95"}
    assert photo.read_bytes() == before


def test_the_numbers_alone_under_another_name(photo: Path, tmp_path: Path) -> None:
    told = run(str(photo), "-o", str(tmp_path / "other.tif"), "--no-picture")
    assert "blur radius in half of the photo" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.tif", "photo.png"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--method", "magic"), OptionError, "one of ebdb, jnb, dmenet, dmenet-small, ifan"),
        (("--method", "dpdnet-s"), OptionError, "no map method"),
        (("--method", "dmenet"), WeightsError, "there are no weights for dmenet"),
        (("--peak", "-1"), OptionError, "a radius in px, or 0"),
        (("-o", "map.jpg"), OptionError, r"a name ending in \.tiff"),
    ],
)
def test_refusals_leave_nothing_behind(
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    error: type[AllfocusError],
    message: str,
) -> None:
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path))
    with pytest.raises(error, match=message):
        run(str(photo), *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_a_missing_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        run(str(tmp_path / "none.jpg"))
    assert not list(tmp_path.iterdir())
