"""Outlines: coverage that scales with its canvas, edges one pixel wide, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from allfocus.simulate.drawings import natural_noise
from allfocus.simulate.masks import OUTLINES, fractal, outline, segment

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", OUTLINES)
def test_outlines_are_coverage_and_repeatable(kind: str) -> None:
    found = [outline(np.random.default_rng(seed), kind, 96, 40.0, CPU)[0] for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    for alpha in found:
        assert float(alpha.min()) >= 0.0 and float(alpha.max()) <= 1.0


@pytest.mark.parametrize("kind", ["blob", "card"])
@given(seed=st.integers(0, 10_000))
def test_an_outline_twice_as_large_has_the_same_shape(kind: str, seed: int) -> None:
    """Coverage is area: that of a pixel is the mean of the four that it becomes on a canvas twice as fine."""
    coarse, middle_px = outline(np.random.default_rng(seed), kind, 64, 30.0, CPU)
    fine, twice_px = outline(np.random.default_rng(seed), kind, 128, 60.0, CPU)
    assert twice_px == pytest.approx(2.0 * middle_px)
    difference = functional.avg_pool2d(fine[None, None], 2)[0, 0] - coarse
    assert float(difference.abs().max()) <= 0.5
    assert float(difference.abs().mean()) < 0.01


@given(seed=st.integers(0, 10_000))
def test_a_card_covers_its_rectangle(seed: int) -> None:
    """What is covered is the drawn rectangle: half sides of 0.2 to 0.9 of the reach, turned about its middle."""
    rng = np.random.default_rng(seed)
    rng.uniform(-4.0, 4.0, 2)  # its place
    rng.normal(0.0, 0.35)  # its angle
    half_height, half_width = 4.0 * rng.uniform(0.2, 0.9, 2)
    alpha, _ = outline(np.random.default_rng(seed), "card", 32, 4.0, CPU)
    perimeter_px = 4.0 * float(half_height + half_width)
    assert float(alpha.sum()) == pytest.approx(4.0 * float(half_height * half_width), abs=0.15 * perimeter_px)


@pytest.mark.parametrize("kind", ["blob", "bars", "card"])
def test_edges_are_about_a_pixel_wide(kind: str) -> None:
    for seed in range(10):
        alpha, _ = outline(np.random.default_rng(seed), kind, 128, 60.0, CPU)
        partial = float(((alpha > 0.02) & (alpha < 0.98)).sum())
        steps = float(
            ((alpha[1:] > 0.5) != (alpha[:-1] > 0.5)).sum() + ((alpha[:, 1:] > 0.5) != (alpha[:, :-1] > 0.5)).sum()
        )
        assert partial <= 2.5 * steps + 20.0


@given(seed=st.integers(0, 1000), offset=st.floats(-0.2, 0.2), order=st.permutations(range(3)))
def test_segments_follow_differences_of_colour_alone(seed: int, offset: float, order: list[int]) -> None:
    """A photo that is brighter all over, or has its channels exchanged, is parted along the same edges."""
    rgb = torch.from_numpy(natural_noise(np.random.default_rng(0), 96)).permute(2, 0, 1) * 0.5 + 0.25
    alpha = segment(np.random.default_rng(seed), rgb)
    other = segment(np.random.default_rng(seed), rgb[order] + offset)
    assert alpha.shape == (96, 96)
    assert float((alpha - other).abs().mean()) < 0.01  # what lies between two clusters may fall to either


def test_segments_never_take_everything_or_nothing() -> None:
    rgb = torch.from_numpy(natural_noise(np.random.default_rng(0), 96)).permute(2, 0, 1)
    for seed in range(20):
        alpha = segment(np.random.default_rng(seed), rgb)
        assert float(alpha.max()) == 1.0 and float(alpha.min()) == 0.0


def test_fractal_is_normalised() -> None:
    noise = fractal(np.random.default_rng(0), 64, CPU, cells=3, octaves=4)
    assert float(noise.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(noise.std()) == pytest.approx(1.0, abs=1e-4)
