from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allfocus.capture.dataset import Split, lay_out, verdict
from allfocus.errors import OptionError

names = st.lists(st.text("abcdef0123", min_size=1, max_size=6), min_size=0, max_size=30, unique=True)


@given(names, st.integers(0, 3))
def test_every_scene_has_one_split_whatever_the_order(found: list[str], seed: int) -> None:
    split = Split(0.2, 0.2, seed=seed)
    parts = split.of(found)
    assert parts == split.of(found[::-1]) and parts.keys() == set(found)
    if len(found) >= 3:
        assert set(parts.values()) == {"train", "val", "test"}


def test_pairs_of_one_scene_stay_together() -> None:
    found = [f"scene{scene}_f{stop}" for scene in range(12) for stop in (2, 4, 8)]
    parts = Split(0.25, 0.25, scene=r"^(scene\d+)_").of(found)
    for scene in range(12):
        assert len({parts[f"scene{scene}_f{stop}"] for stop in (2, 4, 8)}) == 1


@pytest.mark.parametrize(("val", "test"), [(0.6, 0.4), (-0.1, 0.2), (0.2, 1.0)])
def test_something_is_left_to_train_on(val: float, test: float) -> None:
    with pytest.raises(OptionError, match="leave scenes to train on"):
        Split(val, test)


def record(folder: Path, name: str, *reasons: str, pictures: bool = True) -> dict[str, Any]:
    (folder / "pairs").mkdir(exist_ok=True)
    if pictures:
        for role in ("source", "target"):
            (folder / "pairs" / f"{name}.{role}.png").write_text(f"{name} {role}")
    return {
        "name": name,
        "reasons": list(reasons),
        "pictures": pictures,
        "fingerprint": {"files": {f"{name}.jpg": "0"}},
    }


def test_accepted_pairs_are_laid_out_and_overruled_ones_move(tmp_path: Path) -> None:
    records = [
        record(tmp_path, "good"),
        record(tmp_path, "bad", "noise"),
        record(tmp_path, "none", "black", pictures=False),
    ]
    assert lay_out(records, {}, tmp_path, "realdof", Split()) == {"good": "test"}
    assert [path.name for path in sorted((tmp_path / "source").iterdir())] == ["good.png"]
    changed = {"good": "reject", "bad": "accept", "none": "accept"}
    assert lay_out(records, changed, tmp_path, "realdof", Split()) == {"bad": "test"}
    for role in ("source", "target"):
        assert [path.name for path in (tmp_path / role).iterdir()] == ["bad.png"]
        assert (tmp_path / role / "bad.png").read_text() == f"bad {role}"
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [pair["verdict"] for pair in manifest["pairs"]] == ["reject", "accept", "reject"]
    assert set(manifest["pairs"][1]["files"]) == {"source/bad.png", "target/bad.png"}
    assert (tmp_path / "pairs" / "good.source.png").is_file()


def test_dpdd_layout_is_what_its_reader_reads(tmp_path: Path) -> None:
    records = [record(tmp_path, f"s{number}") for number in range(6)]
    parts = lay_out(records, {}, tmp_path, "dpdd", Split(0.2, 0.2))
    for name, part in parts.items():
        assert (tmp_path / f"{part}_c" / "source" / f"{name}.png").is_file()
        assert (tmp_path / f"{part}_c" / "target" / f"{name}.png").is_file()
    again = lay_out(records, {}, tmp_path, "dpdd", Split(0.2, 0.2))
    assert again == parts and len(list(tmp_path.glob("*_c/source/*"))) == 6
    with pytest.raises(OptionError, match="dpdd, realdof"):
        lay_out(records, {}, tmp_path, "gopro", Split())


def test_without_pictures_nobody_can_accept(tmp_path: Path) -> None:
    assert verdict(record(tmp_path, "a", "black", pictures=False), {"a": "accept"}) == "reject"
