"""`allfocus deblur --method`: the methods beside IFAN on a user's photo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.cli.main import main


def run(*arguments: object) -> int:
    try:
        main(["deblur", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def saved(path: Path, pixels: np.ndarray) -> Path:
    interpretation = "rgb16" if pixels.dtype == np.uint16 else "srgb"
    pyvips.Image.new_from_array(pixels, interpretation=interpretation).write_to_file(str(path))
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    return saved(tmp_path / "photo.png", np.kron(rng.integers(0, 255, (5, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8))


@pytest.mark.parametrize("method", ["ebdb", "jnb"])
def test_a_photo_comes_out_with_its_size_and_depth(
    method: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = photo.read_bytes(), tmp_path / "out" / "sharp.png"
    assert run(photo, "--method", method, "-o", out, "--compare", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["method"], row["width"], row["height"], row["notes"]) == (method, 56, 40, [])
    assert Path(row["comparison"]).is_file()
    assert pyvips.Image.new_from_file(str(out)).numpy().shape == (40, 56, 3)
    assert photo.read_bytes() == before


def test_sixteen_bits_stay_sixteen_and_results_are_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (24, 32, 3), dtype=np.uint16)
    photo = saved(tmp_path / "deep.tif", pixels)
    assert run(photo, "--method", "ebdb") == 0
    assert "deep.sharp.tif  32x24, ebdb" in capsys.readouterr().out
    assert pyvips.Image.new_from_file(str(tmp_path / "deep.sharp.tif")).format == "ushort"
    assert run(photo, "--method", "ebdb") == 2
    assert "already exists" in capsys.readouterr().err


def test_one_bad_photo_does_not_stop_the_others(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(b"no photo")
    assert run(photo, tmp_path / "a.png", "--method", "ebdb", "-o", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert "1 of 2 photos done, 1 failed" in said.err and "a.png" in said.err
    assert (tmp_path / "out" / "photo.png").is_file()


@pytest.mark.parametrize(
    ("method", "words"),
    [("nobody", "no baseline is called"), ("dpdnet-d", "dual-pixel views"), ("dpdnet-s", "no weights for dpdnet-s")],
)
def test_what_cannot_run_is_refused_before_any_work(
    method: str, words: str, photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_MODELS", "/nonexistent")
    assert run(photo, "--method", method) == 2
    assert words in capsys.readouterr().err
    assert not photo.with_name("photo.sharp.png").exists()
