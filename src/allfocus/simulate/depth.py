"""Invented depth: maps of inverse depth over the canvas, in units of the scene's range."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from allfocus.simulate.masks import fractal, pixel_grid

RELIEFS = ("flat", "ground", "slanted", "rolling")


def relief(
    rng: np.random.Generator, kind: str, size_px: int, span_px: float, change: float, device: torch.device
) -> Tensor:
    """Draw inverse depth relative to the middle of a surface; a plane in space is affine in it.

    Args:
        rng: draws the direction or the bumps.
        kind: one of `RELIEFS`: constant; nearer towards the lower border; nearer in a random direction; smooth bumps.
        size_px: side of the canvas.
        span_px: distance over which the map changes by `change`.
        change: how much inverse depth changes.
        device: where the result lives.

    Returns:
        float32 (size, size), 0 in the middle (mean 0 for bumps).
    """
    if kind == "flat":
        return torch.zeros(size_px, size_px, device=device)
    if kind == "rolling":
        return fractal(rng, size_px, device, cells=2, octaves=2).clamp_(-2.0, 2.0) * (change / 4.0)
    angle = float(rng.normal(0.0, 0.15)) if kind == "ground" else float(rng.uniform(0.0, 2.0 * math.pi))
    rows, columns = pixel_grid(size_px, device)
    return (rows * math.cos(angle) + columns * math.sin(angle)) * (change / span_px)


def field_squared(
    size_px: int, field_x: float, field_y: float, half_diagonal_px: float, device: torch.device
) -> Tensor:
    """Squared distance from the picture's middle, 1 in its corner: float32 (size, size) around a crop's place."""
    rows, columns = pixel_grid(size_px, device)
    return (columns / half_diagonal_px + field_x) ** 2 + (rows / half_diagonal_px + field_y) ** 2
