"""The oracle: the adaptive convolution by loops over pixels and taps, in float64. Slow on purpose."""

from __future__ import annotations

import torch

from allfocus.ops.adaptive_conv.contract import NEGATIVE_SLOPE, TAPS, check_shapes


def iterative_adaptive_convolution(
    features: torch.Tensor, filters: torch.Tensor, iterations: int, *, tied: bool = False, activate_last: bool = True
) -> torch.Tensor:
    """Filter features with per-pixel stacked separable filters (Eq. 1 of the IFAN paper).

    ``e[n] = LReLU(e[n-1] * f1[n] * f2[n] + b[n])``: each pixel and channel has its own vertical filter, then each
    has its own horizontal filter, which sees neighbours that were filtered with *their* vertical filters.
    Borders are replicated in both passes.

    Args:
        features: (B, C, H, W), any range.
        filters: (B, N*7*C, H, W) in the order of `FilterLayout`.
        iterations: N.
        tied: filter horizontally with the vertical filters again, as the released checkpoints do.
        activate_last: LeakyReLU(0.1) after the last iteration too.

    Returns:
        (B, C, H, W) float64.

    Raises:
        OptionError: if the shapes do not belong together.
    """
    layout = check_shapes(tuple(features.shape), tuple(filters.shape), iterations)
    _, channels, height, width = features.shape
    state = features.double()
    filters = filters.double()
    for n in range(iterations):
        first = filters[:, layout.vertical(n)]
        second = first if tied else filters[:, layout.horizontal(n)]
        bias = filters[:, layout.bias(n)]
        state = torch.stack(
            [_one_channel(state[:, c], first, second, bias[:, c], c, height, width) for c in range(channels)], dim=1
        )
        if n < iterations - 1 or activate_last:
            state = torch.where(state >= 0, state, NEGATIVE_SLOPE * state)
    return state


def _one_channel(
    state: torch.Tensor,  # (B, H, W)
    first: torch.Tensor,  # (B, C*TAPS, H, W)
    second: torch.Tensor,  # (B, C*TAPS, H, W)
    bias: torch.Tensor,  # (B, H, W)
    channel: int,
    height: int,
    width: int,
) -> torch.Tensor:
    rows = []
    for y in range(height):
        row = []
        for x in range(width):
            total = torch.zeros_like(state[:, 0, 0])
            for tap in range(TAPS):
                neighbour = min(max(y + tap - 1, 0), height - 1)
                total = total + first[:, channel * TAPS + tap, y, x] * state[:, neighbour, x]
            row.append(total)
        rows.append(row)
    result = []
    for y in range(height):
        row = []
        for x in range(width):
            total = bias[:, y, x]
            for tap in range(TAPS):
                neighbour = min(max(x + tap - 1, 0), width - 1)
                total = total + second[:, channel * TAPS + tap, y, x] * rows[y][neighbour]
            row.append(total)
        result.append(torch.stack(row, dim=-1))
    return torch.stack(result, dim=-2)
