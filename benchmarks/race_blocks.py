"""Other residual blocks than the package has, for `race.py`: no network that is shipped or can be chosen has them.

    python benchmarks/race_blocks.py BLOCK train ...

runs a command of `allfocus` with networks of such blocks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import nn
from torch.nn import functional

from allfocus.nets import ifan
from allfocus.nets.blocks import ResidualBlock
from allfocus.ops.adaptive_conv.contract import NEGATIVE_SLOPE


class AttentionBlock(ResidualBlock):
    """Every stem's channels are scaled by what one linear layer makes of their means over the picture.

    That is the simplified channel attention of NAFNet (Chen et al., ECCV 2022). At first all are scaled by one.
    """

    def __init__(self, channels: int, stems: int = 1) -> None:
        super().__init__(channels, stems)
        self.scales = nn.ModuleList(nn.Linear(channels, channels) for _ in range(stems))
        for scale in self.scales:
            nn.init.zeros_(scale.weight)
            nn.init.ones_(scale.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        state = features
        for stem, scale in zip(self.stem, self.scales, strict=True):
            change = stem(state)
            change = change * scale(change.mean((2, 3)))[:, :, None, None]
            state = functional.leaky_relu(state + change, NEGATIVE_SLOPE)
        return state + features if len(self.stem) > 1 else state


class GatedStem(nn.Module):
    """Normalised, widened, filtered channel by channel; one half multiplies the other; as the middle of NAFNet's block.

    What it adds begins at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.filter = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.share = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        normal = self.norm(state.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        one, other = self.filter(self.widen(normal)).chunk(2, 1)
        return state + self.share * self.mix(one * other)


class GatedBlock(nn.Module):
    """Two gated stems in place of each stem of `ResidualBlock`, which has two convolutions; the same skip around."""

    def __init__(self, channels: int, stems: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(*(GatedStem(channels) for _ in range(2 * stems)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.stem(features)


BLOCKS = {"plain": ResidualBlock, "gated": GatedBlock, "attention": AttentionBlock}


@contextmanager
def networks_of(block: str) -> Iterator[None]:
    """Networks that are made in here have these blocks."""
    with patch.object(ifan, "ResidualBlock", BLOCKS[block]):
        yield


def main() -> None:
    """The command line."""
    from allfocus.cli.main import main as command_line

    block = sys.argv.pop(1)
    with networks_of(block):
        command_line()


if __name__ == "__main__":
    main()
