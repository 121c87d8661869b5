"""The adaptive convolution in a few whole-tensor operations: runs wherever torch runs, and exports."""

from __future__ import annotations

import torch
from torch.nn import functional

from allfocus.ops.adaptive_conv.contract import NEGATIVE_SLOPE, TAPS, check_shapes


def iterative_adaptive_convolution(
    features: torch.Tensor, filters: torch.Tensor, iterations: int, *, tied: bool = False, activate_last: bool = True
) -> torch.Tensor:
    """As `reference.iterative_adaptive_convolution`, vectorised, in the dtype of the features; arguments as there."""
    layout = check_shapes(tuple(features.shape), tuple(filters.shape), iterations)
    by_tap = (features.shape[1], TAPS)
    for n in range(iterations):
        vertical = filters[:, layout.vertical(n)].unflatten(1, by_tap).unbind(2)
        horizontal = vertical if tied else filters[:, layout.horizontal(n)].unflatten(1, by_tap).unbind(2)
        features = adaptive_pass(
            features, vertical, horizontal, filters[:, layout.bias(n)], activate=n < iterations - 1 or activate_last
        )
    return features


def adaptive_pass(
    features: torch.Tensor,
    vertical: tuple[torch.Tensor, ...],
    horizontal: tuple[torch.Tensor, ...],
    bias: torch.Tensor,
    *,
    activate: bool = True,
) -> torch.Tensor:
    """One iteration on (B, C, H, W): vertical filter, horizontal filter, bias, LeakyReLU(0.1).

    The taps are three tensors each: above, at and below the pixel; left of, at and right of it.
    """
    above = torch.cat([features[:, :, :1], features[:, :, :-1]], dim=2)
    below = torch.cat([features[:, :, 1:], features[:, :, -1:]], dim=2)
    column = vertical[0] * above + vertical[1] * features + vertical[2] * below
    left = torch.cat([column[:, :, :, :1], column[:, :, :, :-1]], dim=3)
    right = torch.cat([column[:, :, :, 1:], column[:, :, :, -1:]], dim=3)
    row = horizontal[0] * left + horizontal[1] * column + horizontal[2] * right + bias
    return functional.leaky_relu(row, NEGATIVE_SLOPE) if activate else row
