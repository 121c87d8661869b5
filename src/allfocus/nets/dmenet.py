"""DMENet: a network that estimates a defocus map.

Source: Lee, Lee, Cho and Lee, "Deep Defocus Map Estimation using Domain Adaptation", CVPR 2019, section 4.
Layers are those of its published network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

_SLOPE = 0.2
_VGG19 = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
_VGG_MEAN_BGR = (103.939, 116.779, 123.68)
LARGEST_COC_PX = 15.0
"""Diameter of the circle of confusion where the map is 1."""


@dataclass(frozen=True)
class DefocusMaps:
    """What DMENet estimates.

    Attributes:
        defocus: (B, 1, H, W) in [0, 1]: the diameter of the circle of confusion over 15 px.
        auxiliary: the same at 1/16, 1/8, 1/4, 1/2 and full size, from the decoder's steps; for training.
    """

    defocus: torch.Tensor
    auxiliary: tuple[torch.Tensor, ...]


def sigma_px(defocus: torch.Tensor) -> torch.Tensor:
    """Standard deviation of the Gaussian that the map means, px, 0 to 7: (15 d - 1) / 2, at least 0."""
    return ((LARGEST_COC_PX * defocus - 1.0) / 2.0).clamp_min(0.0)


class DMENet(nn.Module):
    """VGG19 encoder, decoder with skips, refinement at full size; `scale` is the share of the published widths."""

    multiple = 16
    """Height and width must be multiples of this."""
    reach_px = 256

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

        def wide(channels: int) -> int:
            return max(1, round(channels * scale))

        self.encoder = nn.ModuleList()
        channels = 3
        for width, count in _VGG19:
            block: list[nn.Module] = []
            for _ in range(count):
                block += [_convolution(channels, wide(width)), nn.ReLU(inplace=True)]
                channels = wide(width)
            self.encoder.append(nn.Sequential(*block))
        self.pool = nn.MaxPool2d(2)

        self.decoder = nn.ModuleList()
        for width, count in ((256, 3), (128, 3), (64, 3), (64, 1)):
            skip = {256: wide(512), 128: wide(256), 64: wide(128)}[width] if count == 3 else wide(64)
            first = _normalised(channels + skip, wide(width))
            self.decoder.append(
                nn.Sequential(first, *(_normalised(wide(width), wide(width)) for _ in range(count - 1)))
            )
            channels = wide(width)

        self.auxiliary = nn.ModuleList()
        for width, hidden in ((512, 256), (256, 128), (128, 64), (64, 32), (64, 32)):
            last = [_convolution(wide(hidden), 1), nn.BatchNorm2d(1), nn.Sigmoid()]
            self.auxiliary.append(nn.Sequential(_normalised(wide(width), wide(hidden)), *last))

        self.refinement = nn.ModuleList(_Refinement(wide(64)) for _ in range(7))
        self.head = nn.Sequential(
            _normalised(wide(64), wide(64)), _normalised(wide(64), wide(32)), _convolution(wide(32), 1), nn.Sigmoid()
        )
        self.mean: torch.Tensor
        self.register_buffer("mean", torch.tensor(_VGG_MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    def forward(self, photo: torch.Tensor) -> DefocusMaps:
        """Estimate from RGB (B, 3, H, W) in [0, 1], H and W multiples of 16."""
        features = 255.0 * photo.flip(1) - self.mean  # BGR, as VGG19 was trained
        taps = []
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else self.pool(features))
            taps.append(features)
        taps.pop()
        auxiliary = [self.auxiliary[0](features)]
        for block, head in zip(self.decoder, list(self.auxiliary)[1:], strict=True):
            skip = taps.pop()
            features = block(torch.cat([_double(features, skip.shape[-2:]), skip], dim=1))
            auxiliary.append(head(features))
        for block in self.refinement:
            features = block(features)
        return DefocusMaps(self.head(features), tuple(auxiliary))


class _Refinement(nn.Module):
    """Two normalised 3x3 convolutions beside a normalised 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_normalised(channels, channels), _normalised(channels, channels))
        self.shortcut = _normalised(channels, channels, kernel=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.body(features) + self.shortcut(features)


def _convolution(channels_in: int, channels_out: int, kernel: int = 3) -> nn.Conv2d:
    # mirroring with the edge included, by one pixel, is repeating the edge
    return nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, padding_mode="replicate")


def _normalised(channels_in: int, channels_out: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        _convolution(channels_in, channels_out, kernel),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )


def _double(features: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Nearest neighbour with the corners aligned: output k reads input round(k (n - 1) / (m - 1)), halves up."""
    rows, columns = (
        torch.tensor([(2 * k * (n - 1) + m - 1) // (2 * (m - 1)) for k in range(m)], device=features.device)
        for n, m in zip(features.shape[-2:], size, strict=True)
    )
    return features.index_select(-2, rows).index_select(-1, columns)
