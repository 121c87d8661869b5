"""The warp of the disparity loss, by its laws."""

from __future__ import annotations

import pytest
import torch

from allfocus.nets.warp import warp_horizontally


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (7, 13)])
def test_no_disparity_is_the_identity(height: int, width: int) -> None:
    picture = torch.rand(2, 3, height, width, dtype=torch.float64)
    warped = warp_horizontally(picture, torch.zeros(2, 1, height, width, dtype=torch.float64))
    torch.testing.assert_close(warped, picture, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shift", [1, 2, -1, -3])
def test_whole_disparity_shifts_and_fills_with_zeros(shift: int) -> None:
    picture = torch.rand(1, 2, 5, 8, dtype=torch.float64)
    warped = warp_horizontally(picture, torch.full((1, 1, 5, 8), float(shift), dtype=torch.float64))
    wanted = torch.zeros_like(picture)
    if shift > 0:
        wanted[..., :-shift] = picture[..., shift:]
    else:
        wanted[..., -shift:] = picture[..., :shift]
    torch.testing.assert_close(warped, wanted, rtol=0, atol=1e-12)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    picture = torch.rand(1, 1, 3, 6, dtype=torch.float64)
    warped = warp_horizontally(picture, torch.full((1, 1, 3, 6), 0.5, dtype=torch.float64))
    torch.testing.assert_close(warped[..., :-1], (picture[..., :-1] + picture[..., 1:]) / 2, rtol=0, atol=1e-12)


def test_each_pixel_reads_with_its_own_disparity() -> None:
    picture = torch.arange(6.0).view(1, 1, 1, 6)
    disparity = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.0, -4.0]).view(1, 1, 1, 6)
    torch.testing.assert_close(
        warp_horizontally(picture, disparity), torch.tensor([0.0, 2.0, 1.0, 5.0, 4.0, 1.0]).view(1, 1, 1, 6)
    )


def test_gradient_reaches_picture_and_disparity() -> None:
    picture = torch.rand(1, 1, 3, 5, dtype=torch.float64, requires_grad=True)
    disparity = (0.3 * torch.rand(1, 1, 3, 5, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(warp_horizontally, (picture, disparity))
