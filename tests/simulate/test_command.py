"""`allfocus simulate` as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pyvips
import typer
from typer.testing import CliRunner

from allfocus.cli.simulate import simulate_command
from allfocus.data import dpdd
from allfocus.errors import DataError, OptionError


@pytest.fixture
def photos(photographs: list[np.ndarray], tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (0, 4):
        pyvips.Image.new_from_array(photographs[number]).write_to_file(str(folder / f"{number}.png"))
    pyvips.Image.new_from_array(photographs[0][:50, :60]).write_to_file(str(folder / "tiny.png"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 nothing")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"crop_px": 64, "margin_px": 16}))
    return path


def run(*arguments: object):
    application = typer.Typer()
    application.command()(simulate_command)
    result = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_one_line_makes_a_set(photos: Path, settings: Path, tmp_path: Path) -> None:
    line = ("--photos", photos, "-o", tmp_path / "set", "--count", 2, "--seed", 7, "--config", settings, "--preview")
    result = run(*line)
    assert "skipped broken.jpg: cannot be read" in result.stderr
    assert "skipped tiny.png: 60 x 50 px, needs at least 64 x 64" in result.stderr
    assert "2 samples from 2 photos" in result.stdout
    assert (tmp_path / "set" / "train_preview.jpg").is_file()
    assert len(dpdd.load(tmp_path / "set", "train")) == 2
    again = run(*line)
    assert "2 were there" in again.stdout


def test_a_folder_of_small_photos_is_refused_with_the_size_needed(photos: Path, tmp_path: Path) -> None:
    for path in photos.iterdir():
        if path.name != "tiny.png":
            path.unlink()
    with pytest.raises(DataError, match="needs at least 256 x 256"):
        run("--photos", photos, "-o", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_depth_maps_make_scenes_of_single_photos(photos: Path, settings: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    depth = np.ones((32, 32), np.float32)
    depth[:, 16:] = 3.0
    np.save(maps / "4.npy", depth)
    line = ("--photos", photos, "-o", tmp_path / "set", "--count", 4, "--config", settings, "--depth", maps)
    result = run(*line)
    assert "skipped 0.png: no depth map of its name" in result.stderr
    stored = [json.loads(path.read_text()) for path in (tmp_path / "set" / "train_parameters").iterdir()]
    assert {one["scene"]["mode"] for one in stored} <= {"single", "plane", "identity"}
    with pytest.raises(DataError, match="made with other depth"):
        run(*line, "--depth-kind", "disparity")


def test_wrong_options_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--split"):
        run("--photos", photos, "-o", tmp_path / "set", "--split", "all")
    with pytest.raises(DataError, match="not a folder"):
        run("--photos", tmp_path / "nowhere", "-o", tmp_path / "set")


def test_a_killed_run_continues_to_the_same_bytes(photos: Path, settings: Path, tmp_path: Path) -> None:
    def line(folder: str) -> list[str]:
        return ["--count", "60", "--seed", "5", "--photos", str(photos), "--config", str(settings), "-o", folder]

    command = [sys.executable, "-m", "allfocus", "simulate", *line(str(tmp_path / "killed"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    done = tmp_path / "killed" / "train_parameters"
    while process.poll() is None and len(list(done.glob("[!.]*.json"))) < 3:
        time.sleep(0.002)
    process.kill()
    process.wait()
    finished = len(list(done.glob("[!.]*.json")))
    assert 3 <= finished < 60
    kept = {path: path.stat().st_mtime_ns for path in done.glob("[!.]*.json")}
    assert f"{finished} were there" in run(*line(str(tmp_path / "killed"))).stdout
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())
    run(*line(str(tmp_path / "whole")))
    killed, whole = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "killed", tmp_path / "whole")
    )
    assert killed == whole
