"""The loss terms by their laws."""

from __future__ import annotations

import pytest
import torch

from allfocus.train.losses import charbonnier, fourier, supervised_disparity


def test_charbonnier_is_l1_far_from_zero_and_smooth_at_zero() -> None:
    target = torch.zeros(1, 3, 4, 4)
    assert charbonnier(target + 0.5, target).item() == pytest.approx(0.5, abs=1e-5)
    output = target.clone().requires_grad_()
    charbonnier(output, target).backward()
    assert output.grad is not None
    assert (output.grad == 0).all()


def test_fourier_of_a_constant_difference_sits_in_one_coefficient() -> None:
    target = torch.rand(2, 3, 8, 8)
    coefficients = 8 * 5 * 2  # of a real spectrum: height, half the width, real and imaginary
    assert fourier(target + 0.25, target).item() == pytest.approx(0.25 * 8 / coefficients, rel=1e-4)
    assert fourier(target, target).item() == 0


def test_disparity_is_measured_in_cells_where_the_radius_is_known() -> None:
    coc_px = torch.full((1, 1, 4, 4), 20.0)  # one value every 8 px
    right = torch.full((1, 1, 2, 2), 0.8 / 2 * 20 / 16)  # cells of 16 px
    assert supervised_disparity(right, coc_px).item() == pytest.approx(0, abs=1e-6)
    assert supervised_disparity(right + 0.5, coc_px).item() == pytest.approx(0.5, abs=1e-6)


def test_unknown_radii_teach_nothing() -> None:
    coc_px = torch.full((1, 1, 2, 2), torch.nan)
    estimate = torch.ones(1, 1, 2, 2, requires_grad=True)
    loss = supervised_disparity(estimate, coc_px)
    loss.backward()
    assert loss.item() == 0
    assert estimate.grad is not None
    assert (estimate.grad == 0).all()
