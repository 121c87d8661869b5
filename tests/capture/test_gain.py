from __future__ import annotations

import json
from pathlib import Path

import pytest

from allfocus.capture.gain import gain
from allfocus.errors import DataError


def stored(folder: Path, name: str, values: dict[str, float], complete: bool = True, version: str = "1") -> None:
    mean = sum(values.values()) / len(values)
    record = {
        "complete": complete, "set": "mine-test", "protocol": {"metrics": {"psnr_fit": version}},
        "scores": {"psnr_fit": mean, "lpips": None},
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(record))
    lines = "".join(f"{scene},{value}\n" for scene, value in values.items())
    (folder / f"{name}.csv").write_text("name,psnr_fit\n" + lines)


def test_means_and_scenes_that_are_better(tmp_path: Path) -> None:
    stored(tmp_path, "old", {"a": 20.0, "b": 30.0})
    stored(tmp_path, "new", {"a": 22.0, "b": 29.5})
    found = gain(tmp_path, "old", "new")
    assert (found.images, found.better, found.before, found.after) == (2, 1, {"psnr_fit": 25.0}, {"psnr_fit": 25.75})
    assert found.error == {"psnr_fit": pytest.approx(1.25)}  # of +2 and -0.5: half of how far they lie apart
    scores = found.scores("old")
    assert scores["mine-test, 2 held-out scenes"]["psnr_fit_gain"] == 0.75
    assert scores["mine-test, 2 held-out scenes"]["psnr_fit_gain_error"] == 1.25
    assert scores["mine-test, 2 held-out scenes: old, before"] == {"psnr_fit": 25.0}


def test_one_scene_has_no_error(tmp_path: Path) -> None:
    for name, value in (("old", 20.0), ("new", 21.0)):
        stored(tmp_path, name, {"a": value})
    found = gain(tmp_path, "old", "new")
    assert found.better == 1 and found.error == {}


def test_only_what_may_be_compared_is(tmp_path: Path) -> None:
    stored(tmp_path, "old", {"a": 20.0, "b": 30.0})
    stored(tmp_path, "part", {"a": 20.0})
    stored(tmp_path, "other", {"a": 20.0, "b": 30.0}, version="2")
    stored(tmp_path, "stopped", {"a": 20.0, "b": 30.0}, complete=False)
    for name, words in (
        ("part", "different scenes"),
        ("other", "protocols"),
        ("stopped", "stopped"),
        ("no", "cannot be read"),
    ):
        with pytest.raises(DataError, match=words):
            gain(tmp_path, "old", name)
