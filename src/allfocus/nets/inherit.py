"""Weights of one member of the family as a start for another: full size from half size, two views from one."""

from __future__ import annotations

import torch
from torch import Tensor

from allfocus.nets.ifan import IFAN

FIRST = ("feature_extractor.levels.0.0.0.weight", "filter_encoder.levels.0.0.0.weight")
LAST = ("decoder.out.0.weight", "decoder.out.0.bias")
DIFFERENCE = 8.0
"""Size of a two-view child's fresh weights for what differs between the views, over the parent's. Views differ by a
few hundredths where photos differ by a few tenths; with weights of the parent's own size the sign of disparity stayed
at chance for as long as was tried."""
SEED = 0


def can_inherit(parent: IFAN, child: IFAN) -> bool:
    """Whether the networks differ in nothing but that the child works at full size, takes both views, or both."""
    alike = all(getattr(parent, name) == getattr(child, name) for name in ("iterations", "tied", "width")) and type(
        parent
    ) is type(child)
    return alike and child.unshuffle in (1, parent.unshuffle) and child.views >= parent.views


@torch.no_grad()
def inherit(parent: IFAN, child: IFAN) -> None:
    """Fill the child with what the parent learnt.

    Two views: each takes half of the weights, so that a pair of equal views gives what the single photo gave. What
    differs between the views passes through fresh random weights besides, which cancel out on equal views. Full size:
    the child sees a photo as the parent, on features of 1/2 (1/4), sees it enlarged by 2 (4) with every px repeated,
    and gives the mean of the parent's 4 (16), but for the last activation, which comes after the mean and not before.
    Blur of r px looks to the child like 2r (4r) px to the parent; that is to be learnt too.
    """
    weights = dict(parent.state_dict())
    if child.unshuffle < parent.unshuffle:
        subpixels = parent.unshuffle**2
        for name in FIRST:
            weights[name] = _grouped(weights[name], 1, subpixels).sum(dim=2)
        for name in LAST:
            weights[name] = _grouped(weights[name], 0, subpixels).mean(dim=1)
    if child.views > parent.views:
        weights[FIRST[1]] = _of_both(weights[FIRST[1]])
    child.load_state_dict(weights)


def _of_both(weight: Tensor) -> Tensor:
    """Weights for one photo, (O, C, k, k) -> for the right and the left view, (O, 2C, k, k)."""
    fresh = torch.randn(weight.shape, generator=torch.Generator().manual_seed(SEED)) * weight.std() * DIFFERENCE
    return torch.cat([weight / 2 + fresh, weight / 2 - fresh], dim=1)


def _grouped(weight: Tensor, axis: int, subpixels: int) -> Tensor:
    """Split an axis as `pixel_unshuffle` orders it: colours, then sub-pixels."""
    return weight.unflatten(axis, (-1, subpixels))
