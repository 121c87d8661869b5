"""Losses of runs that followed each other, as CSV and as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import pyvips

pytest.importorskip("matplotlib")

import curves


def run(folder: Path, steps: int, *names: str) -> Path:
    """The folder of a run with a loss a step, and a score at its end."""
    folder.mkdir()
    rows = [("step", *names), *((step, *(1 / step for _ in names)) for step in range(1, steps + 1))]
    (folder / "losses.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    (folder / "validation.csv").write_text(f"step,psnr\n{steps},25.0\n")
    return folder


def test_stages_are_copied_joined_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [run(tmp_path / "first", 4, "total"), run(tmp_path / "last", 3, "total", "warp")]
    monkeypatch.setattr("sys.argv", ["curves.py", *map(str, stages), "-o", str(tmp_path / "out" / "mine")])
    curves.main()
    copied = tmp_path / "out" / "mine.stage2.losses.csv"
    assert copied.read_bytes() == (stages[1] / "losses.csv").read_bytes()
    assert pyvips.Image.new_from_file(str(tmp_path / "out" / "mine.curves.png")).width > 500


def test_steps_are_counted_on_and_what_a_stage_lacks_stays_empty() -> None:
    first, last = {"step": [1.0, 2.0], "total": [3.0, 2.0]}, {"step": [1.0], "total": [1.0], "warp": [5.0]}
    whole, ends = curves.joined([first, last])
    assert whole["step"] == [1, 2, 3] and whole["total"] == [3, 2, 1] and ends == [2, 3]
    assert whole["warp"][2] == 5 and all(value != value for value in whole["warp"][:2])
