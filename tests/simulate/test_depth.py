"""Invented reliefs: planes where they say so, and nothing in the middle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allfocus.simulate.depth import relief

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["flat", "ground", "slanted", "rolling"])
def test_reliefs_are_zero_in_the_middle(kind: str) -> None:
    rises = relief(np.random.default_rng(0), kind, 65, 50.0, 0.5, CPU)
    middle = rises.mean() if kind == "rolling" else rises[32, 32]
    assert float(middle) == pytest.approx(0.0, abs=0.05)
    if kind in ("ground", "slanted"):
        second = rises[2:] - 2.0 * rises[1:-1] + rises[:-2]
        assert float(second.abs().max()) < 1e-5
        slope = torch.hypot(rises[1, 0] - rises[0, 0], rises[0, 1] - rises[0, 0])
        assert float(slope) == pytest.approx(0.5 / 50.0, rel=0.01)
