from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from allfocus.errors import WeightsError
from allfocus.weights.ranges import ENOUGH_DB, Ranges
from allfocus.weights.store import DEFAULT, find

RANGES = Ranges("0" * 64, {"a/conv": (-0.125, 2.0)}, 3, 55.5, 51.0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    RANGES.write(tmp_path / "one.int8")
    assert Ranges.read(tmp_path / "one.int8") == RANGES
    assert [path.name for path in tmp_path.iterdir()] == ["one.int8"]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"activations": {"a": [0.5, 1.0]}},
        {"activations": {"a": [0.0, 0.0]}},
        {"activations": {"a": ["low", 1.0]}},
        {"activations": None},
        {"more": 1},
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "one.int8"
    RANGES.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError, match=r"one\.int8 cannot be used .*allfocus quantise"):
        Ranges.read(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.int8"
    RANGES.write(path)
    path.write_text(path.read_text()[:40])
    with pytest.raises(WeightsError):
        Ranges.read(path)


def test_ranges_of_other_weights_do_not_count(tmp_path: Path) -> None:
    shipped = find(DEFAULT)
    copied = replace(shipped, weights=tmp_path / "ifan-fast.safetensors")
    assert copied.ranges() is None
    RANGES.write(tmp_path / "ifan-fast.int8")
    assert copied.ranges() is None
    mine = replace(RANGES, sha256=shipped.card.sha256)
    mine.write(tmp_path / "ifan-fast.int8")
    assert copied.ranges() == mine


def test_the_shipped_ranges_belong_to_the_shipped_weights() -> None:
    ranges = find(DEFAULT).ranges()
    assert ranges is not None
    assert ranges.psnr_db >= ENOUGH_DB
