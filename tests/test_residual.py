"""Residuals in fixed point and their view at finer scales."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.photo.tiling import Box
from allfocus.residual import Residual


def filled(values: np.ndarray) -> Residual:
    """Of (3, h, w) values."""
    _, height, width = values.shape
    residual = Residual(width, height)
    residual.add(Box(0, 0, width, height), values.astype(np.float32))
    return residual


def test_starts_as_exact_zero_and_adds_up() -> None:
    residual = Residual(5, 3)
    assert not residual.read(Box(0, 0, 5, 3)).any()
    part = np.full((3, 2, 2), 0.25, np.float32)
    residual.add(Box(1, 1, 2, 2), part)
    residual.add(Box(1, 1, 2, 2), -part)
    assert not residual.read(Box(0, 0, 5, 3)).any()


def test_sums_are_clipped_not_wrapped() -> None:
    residual = filled(np.full((3, 2, 2), 0.9))
    residual.add(Box(0, 0, 2, 2), np.full((3, 2, 2), 0.9, np.float32))
    assert residual.read(Box(0, 0, 2, 2)).max() == 1


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarging_keeps_a_ramp_a_ramp(factor: int) -> None:
    ramp = np.repeat(np.repeat((np.arange(16) * 0.05 - 0.4)[None, None], 8, 1), 3, 0)
    fine = filled(ramp).enlarged(Box(0, 0, 16 * factor, 8 * factor), factor)
    positions = (np.arange(16 * factor) + 0.5) / factor - 0.5
    inside = slice(4 * factor, 12 * factor)  # away from the repeated edges
    np.testing.assert_allclose(fine[0, 3, inside], positions[inside] * 0.05 - 0.4, atol=1e-4)


@pytest.mark.parametrize("box", [Box(0, 0, 6, 6), Box(5, 3, 9, 7), Box(-4, -2, 12, 8), Box(20, 14, 12, 8)])
def test_enlarging_a_box_equals_enlarging_everything(box: Box) -> None:
    rng = np.random.default_rng(0)
    residual = filled(rng.uniform(-0.5, 0.5, (3, 9, 13)))
    whole = residual.enlarged(Box(-8, -8, 48, 40), 2)
    part = whole[:, box.y + 8 : box.y + 8 + box.height, box.x + 8 : box.x + 8 + box.width]
    np.testing.assert_array_equal(residual.enlarged(box, 2), part)


@pytest.mark.parametrize("size", [(9, 13), (8, 12), (1, 1)])
def test_a_finer_stage_stands_on_the_coarser_ones(size: tuple[int, int]) -> None:
    height, width = size
    rng = np.random.default_rng(1)
    sides = [(-(-height // factor), -(-width // factor)) for factor in (4, 2)]
    quarter = filled(rng.uniform(-0.2, 0.2, (3, *sides[0])))
    half = Residual(sides[1][1], sides[1][0], quarter)
    own = rng.uniform(-0.2, 0.2, (3, *sides[1])).astype(np.float32)
    half.add(Box(0, 0, sides[1][1], sides[1][0]), own)
    fine = Residual(width, height, half)
    everything = Box(0, 0, width, height)
    np.testing.assert_array_equal(fine.read(everything), half.enlarged(everything, 2))
    wanted = filled(own + quarter.enlarged(Box(0, 0, sides[1][1], sides[1][0]), 2)).enlarged(everything, 2)
    np.testing.assert_allclose(fine.read(everything), wanted, atol=1e-4)
    fine.close()
    with pytest.raises(ValueError, match="closed"):
        quarter.read(Box(0, 0, 1, 1))
