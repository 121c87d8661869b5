"""The loss terms by their laws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from allfocus.train.losses import (
    charbonnier,
    defocus_map,
    fourier,
    pooled,
    reblurred,
    squared,
    supervised_disparity,
    warped_views,
)


def test_charbonnier_is_l1_far_from_zero_and_smooth_at_zero() -> None:
    target = torch.zeros(1, 3, 4, 4)
    assert charbonnier(target + 0.5, target).item() == pytest.approx(0.5, abs=1e-5)
    assert squared(target + 0.5, target).item() == pytest.approx(0.25, rel=1e-4)
    output = target.clone().requires_grad_()
    charbonnier(output, target).backward()
    assert output.grad is not None
    assert (output.grad == 0).all()


def test_fourier_of_a_constant_difference_sits_in_one_coefficient() -> None:
    target = torch.rand(2, 3, 8, 8)
    coefficients = 8 * 5 * 2  # of a real spectrum: height, half the width, real and imaginary
    assert fourier(target + 0.25, target).item() == pytest.approx(0.25 * 8 / coefficients, rel=1e-4)
    assert fourier(target, target).item() == 0


@pytest.mark.parametrize("finer", [1, 2, 4])
def test_disparity_is_measured_in_cells_where_the_radius_is_known(finer: int) -> None:
    coc_px = torch.full((1, 1, 2 * finer, 2 * finer), 20.0)
    right = torch.full((1, 1, 2, 2), 0.8 / 2 * 20 / 16)  # cells of 16 px
    assert supervised_disparity(right, coc_px, 16, sided=False).item() == pytest.approx(0, abs=1e-6)
    assert supervised_disparity(right + 0.5, coc_px, 16, sided=False).item() == pytest.approx(0.5, abs=1e-6)


def test_unknown_radii_teach_nothing() -> None:
    coc_px = torch.full((1, 1, 2, 2), torch.nan)
    estimate = torch.ones(1, 1, 2, 2, requires_grad=True)
    loss = supervised_disparity(estimate, coc_px, 8, sided=False)
    loss.backward()
    assert loss.item() == 0
    assert estimate.grad is not None
    assert (estimate.grad == 0).all()


def test_a_cell_counts_when_more_than_half_of_it_is_known() -> None:
    values = torch.tensor([[4.0, torch.nan, 1.0, torch.nan], [2.0, 3.0, torch.nan, torch.nan]])[None, None]
    means, known = pooled(values, 2)
    assert means.flatten().tolist() == [3.0, 0.0]
    assert known.flatten().tolist() == [1.0, 0.0]


def test_losses_of_a_batch_are_the_mean_of_the_losses_of_its_halves() -> None:
    generator = torch.Generator().manual_seed(1)
    estimate, coc_px = torch.rand(4, 1, 4, 4, generator=generator), torch.rand(4, 1, 8, 8, generator=generator) * 9
    coc_px[1, :, :5] = torch.nan
    for loss in (lambda a, b: supervised_disparity(a, b, 8, sided=False), defocus_map):
        whole = loss(estimate, coc_px)
        halves = torch.stack([loss(estimate[:2], coc_px[:2]), loss(estimate[2:], coc_px[2:])])
        torch.testing.assert_close(halves.mean(), whole)


def test_views_that_are_warped_right_agree() -> None:
    cells = torch.rand(1, 3, 6, 10, generator=torch.Generator().manual_seed(2))
    left, right = (
        torch.repeat_interleave(torch.repeat_interleave(one, 8, 2), 8, 3) for one in (cells, cells.roll(1, 3))
    )
    inside = torch.zeros(1, 1, 6, 10)
    assert warped_views(inside + 1, left, right) < warped_views(inside, left, right)
    # zeros enter at the right border and count, as in the paper's code
    expected = (cells[..., -1:] ** 2).sum() / cells.numel()
    torch.testing.assert_close(warped_views(inside + 1, left, right), expected)


def test_the_reblurring_loss_takes_first_pixels_of_sharp_cells_and_means_of_blurred_ones() -> None:
    class Same(nn.Module):
        def forward(self, sharp: Tensor, filters: Tensor) -> Tensor:
            return sharp

    sharp = torch.rand(1, 3, 16, 16)
    cells = torch.repeat_interleave(torch.repeat_interleave(sharp[..., ::8, ::8], 8, 2), 8, 3)
    filters = torch.zeros(1, 5, 2, 2)
    assert reblurred(Same(), filters, sharp, cells).item() == pytest.approx(0, abs=1e-12)
    assert reblurred(Same(), filters, cells, sharp).item() > 1e-4


def test_a_defocus_map_is_a_diameter_over_15_px_whatever_its_sign_and_size() -> None:
    coc_px = torch.full((1, 1, 4, 4), -3.0)
    for side in (1, 2, 4, 8, 32):
        right = torch.full((1, 1, side, side), 6 / 15)
        assert defocus_map(right, coc_px).item() == pytest.approx(0, abs=1e-10)
        assert defocus_map(right + 0.5, coc_px).item() == pytest.approx(0.25, rel=1e-4)


def test_where_views_show_the_side_of_the_focus_a_wrong_sign_costs_twice_the_size() -> None:
    coc_px = torch.full((1, 1, 4, 4), 20.0)
    right = coc_px * (0.8 / 2 / 8)
    wrong_sign, nothing = (supervised_disparity(one, coc_px, 8, sided=True).item() for one in (-right, 0 * right))
    assert wrong_sign == pytest.approx(2 * nothing) == pytest.approx(2 * right.mean().item())


def test_where_the_sign_is_open_the_size_is_still_worth_telling() -> None:
    coc_px = torch.full((1, 1, 4, 4), 20.0)
    right = coc_px * (0.8 / 2 / 8)
    wrong_sign, nothing = (
        supervised_disparity(estimate, coc_px, 8, sided=False).item() for estimate in (-right, 0 * right)
    )
    assert wrong_sign == nothing == pytest.approx(right.mean().item())

    def unsure(estimate: Tensor) -> float:
        return sum(supervised_disparity(estimate, sign * coc_px, 8, sided=False).item() for sign in (1, -1))

    assert unsure(right) < unsure(0 * right)
