from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.cli.evaluate import _command
from allfocus.cli.main import main


def fill(folder: Path, count: int = 2, side: int = 32) -> Path:
    generator = np.random.default_rng(5)
    for part in ("source", "target"):
        (folder / part).mkdir(parents=True)
        for index in range(count):
            pixels = generator.integers(0, 256, (side, side, 3), np.uint8)
            pyvips.Image.new_from_array(pixels).write_to_file(str(folder / part / f"{index:03d}.png"))
    return folder


@pytest.fixture(autouse=True)
def no_lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLFOCUS_LPIPS", "/nonexistent")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_scores_tables_and_a_figure(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    root, out = fill(tmp_path / "mine"), tmp_path / "results"
    assert run("eval", "input", f"gt=folder:{root / 'target'}", "--root", str(root), "-o", str(out)) == 0
    said = capsys.readouterr()
    assert "gt: 2/2 001" in said.err and "psnr inf" in said.err
    assert "LPIPS not computed" in said.out and "allfocus eval --fetch-lpips" in said.out
    assert json.loads((out / "mine" / "gt.json").read_text())["scores"]["psnr"] == 60.0
    assert run("tables", "--results", str(out), "--show") == 0
    assert "## Results on mine" in capsys.readouterr().out
    assert sorted(path.name for path in out.glob("tables.*")) == [
        "tables.csv",
        "tables.html",
        "tables.md",
        "tables.tex",
    ]
    assert (
        run("figure", f"gt=folder:{root / 'target'}", "--root", str(root), "--scene", "001", "-o", str(out / "f.png"))
        == 0
    )
    assert {path.name for path in out.glob("f.*")} == {"f.png", "f.pdf"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["input"], "no --root"),
        (["--root", "{root}"], "no METHOD"),
        (["input", "--root", "{root}", "--data", "dpdd"], "test_c/source"),
        (["input", "--root", "{root}", "--subset", "indoor"], "groups.csv"),
        (["input", "--root", "{root}/source", "--targets", "{root}/nowhere"], "no photos in"),
        (["nobody", "--root", "{root}"], "methods that are not models"),
        (["input", "--root", "{root}", "--lpips", "{root}"], "no alexnet_features_fp16.safetensors"),
        (["input", "--root", "{root}", "--rounding", "up"], "rounding 'up'"),
    ],
)
def test_refusals_leave_nothing_behind(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fill(tmp_path / "mine", 1)
    filled = [argument.replace("{root}", str(root)) for argument in arguments]
    assert run("eval", *filled, "-o", str(tmp_path / "out")) == 2
    assert words in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_unknown_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run("figure", "input", "--root", str(fill(tmp_path / "mine", 1)), "--scene", "x", "-o", str(tmp_path / "f"))
        == 2
    )
    assert "a name such as 000" in capsys.readouterr().err


def test_the_stored_command_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "eval",
        "a=folder:/home/me/x",
        "/home/me/b.json",
        "--root",
        "/home/me/set",
        "-o",
        "r",
        "--lpips=/home/me/l",
    ]
    monkeypatch.setattr(sys, "argv", ["allfocus", *words])
    assert _command() == "allfocus eval a=folder:x b.json --root DIR -o DIR --lpips=DIR"


def test_killed_and_continued(tmp_path: Path) -> None:
    root = fill(tmp_path / "mine", 12, 256)
    code = "from allfocus.cli.main import main\nmain()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(out: str) -> subprocess.Popen[bytes]:
        words = ["eval", "input", "--root", str(root), "--save-images", "-o", str(tmp_path / out)]
        return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, stderr=subprocess.DEVNULL)

    assert start("whole").wait() == 0
    scores = tmp_path / "twice" / "mine" / "input.csv"
    process = start("twice")
    while process.poll() is None and not (scores.is_file() and scores.stat().st_size > 400):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert start("twice").wait() == 0
    for path in (tmp_path / "whole").rglob("*"):
        if path.suffix in (".csv", ".png") and "timing" not in path.name:
            assert path.read_bytes() == (tmp_path / "twice" / path.relative_to(tmp_path / "whole")).read_bytes()
