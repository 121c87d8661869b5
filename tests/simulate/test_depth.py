"""Invented reliefs: planes where they say so, and nothing in the middle."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allfocus.simulate.depth import bumps, by_light, relief

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


def test_bumps_are_fine_and_of_unit_deviation() -> None:
    heights = bumps(np.random.default_rng(1), 320, CPU)
    assert heights.shape == (320, 320)
    assert float(heights.std()) == pytest.approx(1.0, abs=0.1)
    around = torch.nn.functional.avg_pool2d(heights[None], 81, stride=1)
    assert float(around.abs().max()) < 0.6, "what changes slowly is left to reliefs"


def test_dark_gaps_are_farther_and_shading_says_nothing() -> None:
    columns = torch.arange(256, dtype=torch.float32)
    gaps = (columns % 16 < 4).float()[None, :].expand(256, -1)
    shading = torch.linspace(0.2, 0.6, 256)[:, None]
    heights = by_light((shading - 0.1 * gaps).expand(3, -1, -1))
    assert float(heights[gaps > 0].mean()) < -0.5 < 0.2 < float(heights[gaps == 0].mean())
    assert float((heights[64:96].mean() - heights[160:192].mean()).abs()) < 0.05
