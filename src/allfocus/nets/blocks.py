"""The three building blocks of IFAN (Lee et al., CVPR 2021): convolution, up-convolution, residual."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from allfocus.ops.adaptive_conv.contract import NEGATIVE_SLOPE


def convolution(channels_in: int, channels_out: int, *, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution with zero padding and bias, then LeakyReLU(0.1): (B, in, H, W) -> (B, out, H/s, W/s)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE)
    )


def up_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """A transposed 4x4 convolution of stride 2, then LeakyReLU(0.1): (B, in, H, W) -> (B, out, 2H, 2W)."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE)
    )


class ResidualBlock(nn.Module):
    """Stems ``x <- LReLU(x + conv(LReLU(conv(x))))``; around more than one, an outer skip without activation."""

    def __init__(self, channels: int, stems: int = 1) -> None:
        super().__init__()
        self.stem = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.LeakyReLU(NEGATIVE_SLOPE),
                nn.Conv2d(channels, channels, 3, padding=1),
            )
            for _ in range(stems)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        state = features
        for stem in self.stem:
            state = functional.leaky_relu(state + stem(state), NEGATIVE_SLOPE)
        return state + features if len(self.stem) > 1 else state


def initialise(module: nn.Module, gain: float = 1.0) -> None:
    """Give every (transposed) convolution Xavier-uniform weights of this gain and zero biases, as the paper's code."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(part.weight, gain)
            assert part.bias is not None  # no layer of these networks is built without
            nn.init.zeros_(part.bias)
