from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from allfocus.capture.demo import FAULTS, TRUTH, PlantedScene, make_demo
from allfocus.capture.gate import REASONS
from allfocus.errors import DataError, OptionError, OutputError


def test_what_is_planted_is_what_was_asked(demo: tuple[Path, list[PlantedScene]]) -> None:
    folder, scenes = demo
    assert [PlantedScene(**one) for one in json.loads((folder / TRUTH).read_text())["scenes"]] == scenes
    for scene in scenes:
        warp, gain = np.array(scene.warp), np.array(scene.gain)
        scale = np.sqrt(np.linalg.det(warp[:2, :2]))
        assert 0.97 <= scale <= 1.03 and 0.4 <= gain.min() <= gain.max() <= 2.2 and 4 <= scene.largest_px <= 12
        assert (folder / "wide" / f"{scene.name}.jpg").is_file()


def test_every_fault_has_a_reason_that_the_gate_knows() -> None:
    assert set(FAULTS.values()) <= set(REASONS)


def test_one_seed_one_session(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_demo(tmp_path / name, 1, (), (128, 128), seed=9)
    for file in sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_photos_of_somebody_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    photo = tmp_path / "wide" / "WIDE0001.jpg"
    photo.write_bytes(b"mine")
    with pytest.raises(OutputError, match="holds other photos"):
        make_demo(tmp_path, 1, (), (128, 128))
    assert photo.read_bytes() == b"mine"


def test_a_second_demo_takes_the_place_of_the_first(tmp_path: Path) -> None:
    make_demo(tmp_path, 2, (), (128, 128), seed=9)
    make_demo(tmp_path, 1, (), (128, 128), seed=9)
    assert [path.name for path in (tmp_path / "wide").iterdir()] == ["WIDE0001.jpg"]


def test_refusals_teach(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="moving"):
        make_demo(tmp_path, 1, ("ghost",))
    with pytest.raises(DataError, match="sharp photos"):
        make_demo(tmp_path, 1, (), photo_folder=tmp_path / "none")
