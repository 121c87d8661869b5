"""A tiny data set and a method that needs nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.data import registry
from allfocus.data.pairs import PairSet


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyvips.Image.new_from_array(pixels).write_to_file(str(path))


@pytest.fixture
def tiny(tmp_path: Path) -> PairSet:
    """Three 8-bit pairs of 37x29 px, two of them in the group "night"."""
    generator = np.random.default_rng(11)
    for index in range(3):
        target = generator.integers(0, 256, (29, 37, 3), np.uint8)
        write(tmp_path / "tiny" / "source" / f"scene{index}.png", target // 2 + 40)
        write(tmp_path / "tiny" / "target" / f"scene{index}.png", target)
    (tmp_path / "tiny" / "groups.csv").write_text("name,group\nscene0,night\nscene2,night\n")
    return registry.load("pairs", tmp_path / "tiny")
