"""The loss terms, each a function of plain tensors."""

from __future__ import annotations

import torch

KAPPA = 0.8
"""Slope of the dual-pixel split, measured on two real cameras (Canon 5D IV, Pixel 4): disparity = kappa * CoC / 2."""


def charbonnier(output: torch.Tensor, target: torch.Tensor, epsilon: float = 1e-3) -> torch.Tensor:
    """Mean of sqrt(difference^2 + epsilon^2): an L1 distance that is smooth at zero (Charbonnier et al., 1994)."""
    return ((output - target).square() + epsilon**2).sqrt().mean()


def fourier(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the orthonormal 2-D spectra of (B, C, H, W) pictures."""
    difference = torch.fft.rfft2(output - target, norm="ortho")
    return torch.view_as_real(difference).abs().mean()


def supervised_disparity(estimate: torch.Tensor, coc_px: torch.Tensor) -> torch.Tensor:
    """L1 distance of an estimated disparity map to the simulator's.

    Args:
        estimate: (B, 1, h, w) disparity in cells of m px.
        coc_px: (B, 1, h*j, w*j) signed circle-of-confusion radius in px on a grid j times as fine, NaN where unknown.

    Returns:
        The mean over known cells, in cells; 0 if none is known.
    """
    factor = coc_px.shape[-1] // estimate.shape[-1]
    coc_px = torch.nn.functional.avg_pool2d(coc_px, factor) if factor > 1 else coc_px
    cell_px = 8.0 * factor
    known = coc_px.isfinite()
    target = torch.where(known, coc_px, 0.0) * (KAPPA / 2 / cell_px)
    return ((estimate - target).abs() * known).sum() / known.sum().clamp(min=1)
