"""DPDNet: the U-Net that first deblurred from dual-pixel views.

Source: Abuolaim and Brown, "Defocus Deblurring Using Dual-Pixel Data", ECCV 2020, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from allfocus.errors import OptionError

_DEPTH = 4


@dataclass(frozen=True)
class DPDNetSizes:
    """The sizes of a DPDNet.

    Attributes:
        views: 1 (the photo) or 2 (left and right dual-pixel views).
        width: channels of the first level; each deeper level has twice as many. 64 as published.
        up_kernel: side of the convolutions after up-sampling; 2 in the public code.
        extra: encoder levels (0 the finest) with a third convolution.
        dropout: share of the deepest two levels' features that training drops.
    """

    views: int = 1
    width: int = 64
    up_kernel: int = 2
    extra: tuple[int, ...] = ()
    dropout: float = 0.4


def sizes(name: str, views: int = 1, width: int = 64) -> DPDNetSizes:
    """The sizes behind a name.

    Args:
        name: "public" is the published code (31.03 M parameters at width 64); "large" is a **reconstruction** of the
            larger net that the IFAN paper counted (35.25 M, 989.8 B and 991.4 B at 1280x720): nobody has confirmed it.
        views: 1 or 2.
        width: 64, or less for a small member.

    Raises:
        OptionError: no such name, or a number of views other than 1 and 2.
    """
    if name not in ("public", "large") or views not in (1, 2) or width < 1:
        raise OptionError(
            f"DPDNet {name!r} with {views} view(s), width {width}",
            "'public' or 'large', 1 or 2 views, a positive width",
            "use 'public'",
        )
    if name == "public":
        return DPDNetSizes(views=views, width=width)
    return DPDNetSizes(views=views, width=width, up_kernel=3, extra=(1, 2))


class DPDNet(nn.Module):
    """The network, RGB in and out; the channel order of the published weights (BGR) is handled inside.

    `convolutions` holds all convolutions in the order in which the public code creates them, which is the order of its
    weights file.
    """

    multiple = 16
    """Height and width must be multiples of this."""
    reach_px = 144
    """No output depends on a pixel farther away: the sum over its layers is 114 px, plus its grid of 16."""

    def __init__(self, sizes: DPDNetSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes = sizes or DPDNetSizes()
        widths = [sizes.width * 2**level for level in range(_DEPTH + 1)]
        self.encoder = nn.ModuleList()
        channels = 3 * sizes.views
        for level, width in enumerate(widths):
            count = 3 if level in sizes.extra else 2
            self.encoder.append(_convolutions(channels, width, count))
            channels = width
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(sizes.dropout)
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for width in reversed(widths[:-1]):
            padding = 1 if sizes.up_kernel == 3 else 0
            up = nn.Conv2d(2 * width, width, sizes.up_kernel, padding=padding)
            self.up.append(nn.Sequential(up, nn.ReLU(inplace=True)))
            self.decoder.append(_convolutions(2 * width, width, 2))
        self.head = nn.Sequential(
            nn.Conv2d(sizes.width, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1), nn.Sigmoid()
        )
        self.reset()

    def reset(self) -> None:
        """He's normal initialisation, biases zero."""
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in the order of creation in the public code."""
        ordered: list[nn.Module] = [*self.encoder]
        for up, block in zip(self.up, self.decoder, strict=True):
            ordered += [up, block]
        ordered.append(self.head)
        return [part for block in ordered for part in block.modules() if isinstance(part, nn.Conv2d)]

    def forward(self, centre: torch.Tensor, pair: torch.Tensor | None = None) -> torch.Tensor:
        """Deblur.

        Args:
            centre: (B, 3, H, W) RGB in [0, 1]; only read with one view.
            pair: (B, 6, H, W) left then right RGB in [0, 1]; only read with two views.

        Returns:
            (B, 3, H, W) RGB in [0, 1].

        Raises:
            OptionError: two views but no pair.
        """
        if self.sizes.views == 2 and pair is None:
            raise OptionError("one view", "the left and the right view for a DPDNet of two", "use a net of one view")
        views = centre if pair is None or self.sizes.views == 1 else pair
        features = torch.cat([view.flip(1) for view in views.split(3, dim=1)], dim=1)  # RGB to BGR
        skips = []
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else self.pool(features))
            if level >= _DEPTH - 1:
                features = self.dropout(features)
            skips.append(features)
        skips.pop()  # the deepest is what goes up
        for up, block in zip(self.up, self.decoder, strict=True):
            features = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            if self.sizes.up_kernel == 2:
                features = functional.pad(features, (0, 1, 0, 1))  # "same" in the public code pads right and below
            features = block(torch.cat([skips.pop(), up(features)], dim=1))
        return self.head(features).flip(1)


def _convolutions(channels_in: int, channels_out: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k in range(count):
        layers += [
            nn.Conv2d(channels_in if k == 0 else channels_out, channels_out, 3, padding=1),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
