"""Surfaces out of one photo: parted where depth jumps, and completed behind what hides them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def labels_by_depth(nearness: Tensor, *, most: int = 4, gap: float = 0.12) -> Tensor:
    """Part a map of inverse depth where it jumps; slopes stay whole.

    Args:
        nearness: float32 (N, N), larger is nearer, its range about 1.
        most: most parts (1-D k-means over the values).
        gap: neighbouring parts that differ by less than this along their common border are joined.

    Returns:
        int64 (N, N), 0 for the farthest part, every number up to the largest in use.
    """
    values = nearness.flatten()[:: max(1, nearness.numel() // 4096)]
    ranks = (torch.arange(most, device=nearness.device) + 0.5) / most
    centres = torch.quantile(values, ranks)
    for _ in range(12):
        member = functional.one_hot((values[:, None] - centres).abs().argmin(dim=1), most).float()
        count = member.sum(dim=0)
        centres = torch.where(count > 0, values @ member / count.clamp_min(1.0), centres)
    labels = torch.bucketize(nearness, (centres[1:] + centres[:-1]) / 2.0)
    steps = [_step(nearness, labels, label) >= gap for label in range(1, most)]
    numbers = torch.tensor([0, *steps], dtype=torch.int64, device=nearness.device).cumsum(dim=0)
    return torch.unique(numbers[labels], return_inverse=True)[1]


def _step(nearness: Tensor, labels: Tensor, label: int) -> float:
    """How far depth jumps on average where part `label` meets the next farther one; infinity where they do not meet."""
    total, count = 0.0, 0
    for axis in (0, 1):
        length = nearness.shape[axis] - 1
        here, there = (labels.narrow(axis, start, length) for start in (0, 1))
        border = (torch.minimum(here, there) == label - 1) & (torch.maximum(here, there) == label)
        change = nearness.narrow(axis, 0, length) - nearness.narrow(axis, 1, length)
        total += float(change.abs()[border].sum())
        count += int(border.sum())
    return total / count if count else math.inf


def extended(own: Tensor, nearer: Tensor, reach_px: int) -> Tensor:
    """Continue a part behind nearer ones: bool (N, N), `own` and what of `nearer` lies within `reach_px` of it."""
    wide = own.float()[None, None]
    wide = functional.max_pool2d(wide, (2 * reach_px + 1, 1), stride=1, padding=(reach_px, 0))
    wide = functional.max_pool2d(wide, (1, 2 * reach_px + 1), stride=1, padding=(0, reach_px))
    return own | ((wide[0, 0] > 0.0) & nearer)


def fill(colours: Tensor, known: Tensor) -> Tensor:
    """Fill what is not known of colours (C, N, N) from its surroundings, coarse to fine.

    `known` is 1 where they are; what lies within 2 px of anything else does not spread.
    """
    # A pixel that the cut-out touches at all carries its colour, so only untouched ones may spread.
    weight = (functional.avg_pool2d(known[None, None], 5, stride=1, padding=2, count_include_pad=False) > 0.999).float()
    if not bool(weight.any()):
        weight = (known > 0.0).float()[None, None]
    levels = [(colours[None] * weight, weight)]
    while levels[-1][1].shape[-1] > 4:
        colour, weight = levels[-1]
        levels.append(
            (functional.avg_pool2d(colour, 2, ceil_mode=True), functional.avg_pool2d(weight, 2, ceil_mode=True))
        )
    colour, weight = levels[-1]
    filled = colour.sum(dim=(2, 3), keepdim=True) / weight.sum().clamp_min(1e-6)
    for colour, weight in reversed(levels):
        coarse = functional.interpolate(filled, size=weight.shape[-2:], mode="bilinear", align_corners=False)
        share = weight.clamp_max(1.0)
        filled = colour / weight.clamp_min(1e-6) * share + coarse * (1.0 - share)
    return filled[0]
