"""Warping one dual-pixel view towards the other along a disparity map."""

from __future__ import annotations

import torch
from torch.nn import functional


def warp_horizontally(picture: torch.Tensor, disparity: torch.Tensor) -> torch.Tensor:
    """Sample a picture further right by the disparity: ``out(x) = picture(x + disparity(x))``, zeros outside.

    Args:
        picture: (B, C, H, W).
        disparity: (B, 1, H, W) in pixels of this picture.

    Returns:
        (B, C, H, W). Bilinear; the grid's corners are the centres of the corner pixels (IFAN, training loss).
    """
    batch, _, height, width = picture.shape
    ys = torch.linspace(-1.0, 1.0, height, device=picture.device, dtype=disparity.dtype)
    xs = torch.linspace(-1.0, 1.0, width, device=picture.device, dtype=disparity.dtype)
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    shifted = grid_x + disparity[:, 0] * (2.0 / max(width - 1, 1))
    grid = torch.stack([shifted, grid_y.expand(batch, -1, -1)], dim=-1)
    return functional.grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
