from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from allfocus.capture.demo import PlantedScene, write_jpeg
from allfocus.capture.pairing import pair_up
from allfocus.errors import DataError, OptionError

GREY = np.full((8, 8, 3), 0.2, np.float32)


def folder(place: Path, **seconds: int) -> Path:
    place.mkdir()
    for name, second in seconds.items():
        write_jpeg(GREY, place / f"{name}.jpg", second)
    return place


def test_by_time_whatever_the_clocks_say(tmp_path: Path) -> None:
    wide = folder(tmp_path / "wide", a=0, b=30, c=100)
    narrow = folder(tmp_path / "narrow", x=3600, y=3630, z=3701)
    shots = pair_up(wide, narrow)
    assert [(shot.sources[0].stem, shot.targets[0].stem) for shot in shots] == [("a", "x"), ("b", "y"), ("c", "z")]


def test_by_time_what_has_no_partner_stays_alone(tmp_path: Path) -> None:
    wide, narrow = folder(tmp_path / "wide", a=0, b=30, c=100), folder(tmp_path / "narrow", x=10, z=110, q=500)
    shots = {shot.name: shot for shot in pair_up(wide, narrow, "time")}
    assert shots["a"].targets and shots["c"].targets and not shots["b"].targets
    assert not shots["q"].sources and shots["q"].targets


def test_frames_that_follow_closely_are_one_burst(tmp_path: Path) -> None:
    wide, narrow = folder(tmp_path / "wide", a=0, b=60), folder(tmp_path / "narrow", p=5, q=5, r=5, s=65)
    first, second = pair_up(wide, narrow, "time")
    assert [path.stem for path in first.targets] == ["p", "q", "r"] and [path.stem for path in second.targets] == ["s"]


def test_by_name_and_by_a_part_of_it(tmp_path: Path) -> None:
    wide, narrow = folder(tmp_path / "wide", cat=0, dog=1, cow=2), folder(tmp_path / "narrow", dog=9, cat=8)
    shots = {shot.name: shot for shot in pair_up(wide, narrow)}
    assert shots["cat"].targets[0].stem == "cat" and not shots["cow"].targets
    other = folder(tmp_path / "other", B_02_f16=0, B_01_f16=0)
    again = folder(tmp_path / "again", A_01_f2=0, A_02_f2=0)
    shots = {shot.name: shot for shot in pair_up(again, other, "name", r"_(\d+)_")}
    assert shots["01"].sources[0].stem == "A_01_f2" and shots["01"].targets[0].stem == "B_01_f16"


def test_a_folder_inside_is_a_burst(tmp_path: Path) -> None:
    wide, narrow = folder(tmp_path / "wide", one=0), tmp_path / "narrow"
    narrow.mkdir()
    folder(narrow / "one", f1=0, f2=50)
    (shot,) = pair_up(wide, narrow)
    assert len(shot.targets) == 2


def test_by_order_only_where_counts_agree(tmp_path: Path) -> None:
    wide, narrow = folder(tmp_path / "wide", a=0, b=1), folder(tmp_path / "narrow", x=0)
    with pytest.raises(DataError, match="equally many in both"):
        pair_up(wide, narrow, "order")
    assert [shot.targets[0].stem for shot in pair_up(wide, folder(tmp_path / "two", x=0, y=1), "order")] == ["x", "y"]


def test_refusals_teach(tmp_path: Path) -> None:
    wide = folder(tmp_path / "wide", a=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no folder"):
        pair_up(wide, tmp_path / "none")
    with pytest.raises(DataError, match="no photos in"):
        pair_up(wide, tmp_path / "empty")
    with pytest.raises(OptionError, match="name, time, order"):
        pair_up(wide, wide, "luck")
    with pytest.raises(OptionError, match="one group"):
        pair_up(wide, wide, "name", r"\d+")
    with pytest.raises(OptionError, match="a regular expression"):
        pair_up(wide, wide, "name", "(")


def test_the_simulated_session_is_paired_by_its_clocks(demo: tuple[Path, list[PlantedScene]]) -> None:
    place, scenes = demo
    shots = {shot.name: shot for shot in pair_up(place / "wide", place / "narrow")}
    for scene in scenes:
        number = int(scene.name.removeprefix("WIDE"))
        found = [path.stem for path in shots[scene.name].targets]
        assert found == ([] if scene.fault == "alone" else [f"NARROW{number + 100:04d}"])
