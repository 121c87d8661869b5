"""Edges where a person sees them, and none where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from allfocus.baselines.canny import edges


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 13), (40, 30)])
@pytest.mark.parametrize("value", [0.0, 0.37])
def test_a_constant_has_no_edges(size: tuple[int, int], value: float) -> None:
    assert not edges(np.full(size, value), 1.5).any()


@pytest.mark.parametrize("scale_px", [1.0, 3.0, 5.0])
def test_a_step_is_one_thin_line_at_its_place(scale_px: float) -> None:
    plane = np.zeros((60, 60))
    plane[:, 30:] = 1.0
    found = edges(ndimage.gaussian_filter(plane, 1.0), scale_px)[1:-1]
    assert (found.sum(axis=1) == 1).all()
    assert set(np.nonzero(found)[1]) <= {29, 30}


def test_turning_the_picture_turns_the_edges() -> None:
    plane = ndimage.gaussian_filter(np.random.default_rng(0).random((50, 64)), 2.0)
    straight, turned = edges(plane, 2.0), edges(plane.T, 2.0).T
    assert (straight != turned).mean() < 0.001


def test_a_circle_is_closed() -> None:
    y, x = np.indices((80, 80)) - 39.5
    found = edges(ndimage.gaussian_filter((y**2 + x**2 < 25**2).astype(float), 1.0), 2.0)
    outside, count = ndimage.label(~found)  # type: ignore[misc]
    assert count == 2
    assert outside[0, 0] != outside[40, 40]
    radius = np.hypot(y, x)[found]
    assert np.abs(radius - 25).max() < 1.5
