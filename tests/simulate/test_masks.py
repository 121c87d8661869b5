"""Outlines: coverage, edges one pixel wide, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allfocus.simulate.charts import natural_noise
from allfocus.simulate.depth import RELIEFS, relief
from allfocus.simulate.masks import OUTLINES, fractal, outline, segment

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", OUTLINES)
def test_outlines_are_coverage_and_repeatable(kind: str) -> None:
    found = [outline(np.random.default_rng(seed), kind, 96, 40.0, CPU)[0] for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    for alpha in found:
        assert float(alpha.min()) >= 0.0 and float(alpha.max()) <= 1.0
    covered = [float(outline(np.random.default_rng(seed), kind, 96, 40.0, CPU)[0].mean()) for seed in range(20)]
    assert 0.01 < float(np.mean(covered)) < 0.7


@pytest.mark.parametrize("kind", ["blob", "bars", "card"])
def test_edges_are_about_a_pixel_wide(kind: str) -> None:
    for seed in range(10):
        alpha, _ = outline(np.random.default_rng(seed), kind, 128, 60.0, CPU)
        partial = float(((alpha > 0.02) & (alpha < 0.98)).sum())
        steps = float(
            ((alpha[1:] > 0.5) != (alpha[:-1] > 0.5)).sum() + ((alpha[:, 1:] > 0.5) != (alpha[:, :-1] > 0.5)).sum()
        )
        assert partial <= 2.5 * steps + 20.0


def test_segments_cover_a_part() -> None:
    rgb = torch.from_numpy(natural_noise(np.random.default_rng(0), 96)).permute(2, 0, 1)
    for seed in range(5):
        alpha = segment(np.random.default_rng(seed), rgb)
        assert alpha.shape == (96, 96)
        assert 0.02 < float(alpha.mean()) < 0.8


def test_fractal_is_normalised() -> None:
    noise = fractal(np.random.default_rng(0), 64, CPU, cells=3, octaves=4)
    assert float(noise.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(noise.std()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", RELIEFS)
def test_reliefs_are_zero_in_the_middle(kind: str) -> None:
    rises = relief(np.random.default_rng(0), kind, 65, 50.0, 0.5, CPU)
    middle = rises.mean() if kind == "rolling" else rises[32, 32]
    assert float(middle) == pytest.approx(0.0, abs=0.05)
    if kind in ("ground", "slanted"):
        second = rises[2:] - 2.0 * rises[1:-1] + rises[:-2]
        assert float(second.abs().max()) < 1e-5
        slope = torch.hypot(rises[1, 0] - rises[0, 0], rises[0, 1] - rises[0, 0])
        assert float(slope) == pytest.approx(0.5 / 50.0, rel=0.01)
