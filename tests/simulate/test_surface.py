"""What is known about a picture, and where."""

from __future__ import annotations

import torch

from allfocus.simulate.surface import Surface, valid_mask, visible_coc


def surface(coc_px: float, alpha: torch.Tensor | None = None) -> Surface:
    return Surface(torch.zeros(3, 40, 40), alpha, torch.full((40, 40), coc_px))


def test_the_nearest_surface_that_covers_half_a_pixel_is_seen() -> None:
    alpha = torch.zeros(40, 40)
    alpha[:, :10], alpha[:, 10], alpha[:, 11] = 1.0, 0.5, 0.49
    row = visible_coc((surface(5.0), surface(-3.0, alpha)))[20]
    assert row[:11].tolist() == [-3.0] * 11
    assert row[11:].tolist() == [5.0] * 29


def test_everything_is_valid_without_jumps() -> None:
    assert valid_mask(torch.linspace(-5.0, 5.0, 40).expand(40, 40)).all()


def test_what_the_larger_blur_reaches_across_a_jump_is_not_valid() -> None:
    coc_px = torch.zeros(40, 40)
    coc_px[:, :10] = 6.0
    row = valid_mask(coc_px)[20]
    assert not row[3:17].any()
    assert row[20:].all()


def test_a_small_jump_costs_little() -> None:
    coc_px = torch.zeros(40, 40)
    coc_px[:, :10] = 1.0
    row = valid_mask(coc_px)[20]
    assert not row[9:11].any() and row[:6].all() and row[14:].all()
