"""The reblurring network that trains the filters: it turns predicted deblurring filters into blurring ones."""

from __future__ import annotations

import torch
from torch import nn

from allfocus.nets.blocks import ResidualBlock, convolution, initialise
from allfocus.ops.adaptive_conv import FilterLayout, iterative_adaptive_convolution


class ReblurringNetwork(nn.Module):
    """Filter tensor and a small sharp picture -> that picture blurred again (training only; IFAN, section 3).

    `filter_channels` are those of the deblurring filters (15,232 at N=17), `width` the channels inside (128 there).
    """

    def __init__(self, filter_channels: int, iterations: int = 17, tied: bool = False, width: int = 128) -> None:
        super().__init__()
        self.iterations, self.tied = iterations, tied
        self.body = nn.Sequential(convolution(filter_channels, width), ResidualBlock(width, 2), ResidualBlock(width, 2))
        self.project = nn.Conv2d(width, FilterLayout(3, iterations).total, 3, padding=1)
        initialise(self)

    def forward(self, sharp_small: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) and (B, K, h, w) -> reblurred (B, 3, h, w)."""
        blurring = self.project(self.body(filters))
        blurred = iterative_adaptive_convolution(
            sharp_small, blurring, self.iterations, tied=self.tied, activate_last=False
        )
        return blurred + sharp_small
