"""What every implementation of the iterative adaptive convolution agrees on: layouts, shapes, refusals.

Filters come in two layouts. `FilterLayout` holds all iterations, channel by channel, as a network's head predicts them;
the *plane layout* holds one iteration, tap by tap, as the fast passes read it (see `PLANES`).
"""

from __future__ import annotations

from dataclasses import dataclass

from allfocus.errors import OptionError

TAPS = 3
NEGATIVE_SLOPE = 0.1
PLANES = 2 * TAPS + 1
"""Planes of the plane layout (B, 7*C, H, W), C channels each: the taps above, at and below, those left, at and right,
the bias."""
TIED_PLANES = TAPS + 1
"""The same with tied filters, (B, 4*C, H, W): above or left, at, below or right, the bias."""


@dataclass(frozen=True)
class FilterLayout:
    """Where each filter stands on the channel axis of a predicted filter tensor.

    ``[n=0: vertical | horizontal] [n=1: ...] ... [all biases: n=0, n=1, ...]``; a vertical or horizontal block
    has ``channels * TAPS`` entries, channel major. The taps of a channel stand in the order above, at and below the
    pixel (vertical), or left, at and right of it (horizontal). This is the order of the released IFAN checkpoints
    (Lee et al., CVPR 2021), so their 1x1 head rows can be read as they are.

    Args:
        channels: channels of the features that are filtered.
        iterations: N of the paper, how many stacked pairs of 1-D filters there are.
    """

    channels: int
    iterations: int

    @property
    def total(self) -> int:
        """Channels of the whole filter tensor: ``N * (2 * channels * TAPS + channels)``."""
        return self.iterations * (2 * self.channels * TAPS + self.channels)

    def vertical(self, iteration: int) -> slice:
        """Rows of the vertical filters f1 of one iteration (0-based)."""
        start = iteration * 2 * self.channels * TAPS
        return slice(start, start + self.channels * TAPS)

    def horizontal(self, iteration: int) -> slice:
        """Rows of the horizontal filters f2 of one iteration."""
        end = self.vertical(iteration).stop
        return slice(end, end + self.channels * TAPS)

    def bias(self, iteration: int) -> slice:
        """Rows of the bias b of one iteration; all biases stand after all filters."""
        start = self.iterations * 2 * self.channels * TAPS + iteration * self.channels
        return slice(start, start + self.channels)


def check_shapes(features_shape: tuple[int, ...], filters_shape: tuple[int, ...], iterations: int) -> FilterLayout:
    """The layout of filters (B, N * 7 * C, H, W) for features (B, C, H, W). OptionError: they do not fit together."""
    if len(features_shape) != 4 or iterations < 1:
        raise OptionError(
            f"features of shape {tuple(features_shape)} and {iterations} iterations",
            "features (B, C, H, W) and at least one iteration",
            "add the batch axis",
        )
    batch, channels, height, width = features_shape
    layout = FilterLayout(channels, iterations)
    wanted = (batch, layout.total, height, width)
    if tuple(filters_shape) != wanted:
        raise OptionError(
            f"filters of shape {tuple(filters_shape)} for features {tuple(features_shape)}",
            f"{wanted}, that is {iterations} iterations of (3 + 3 + 1) x {channels} channels",
            "predict the filters at the resolution of the features, with the same number of iterations",
        )
    return layout


def check_planes(features_shape: tuple[int, ...], filters_shape: tuple[int, ...]) -> None:
    """Refuse filters of one iteration that do not fit features (B, C, H, W): neither (B, 7*C, H, W) nor, tied, 4*C.

    OptionError: if the two tensors do not belong together.
    """
    if len(features_shape) == 4:
        batch, channels, *size = features_shape
        if tuple(filters_shape) in [(batch, planes * channels, *size) for planes in (PLANES, TIED_PLANES)]:
            return
    raise OptionError(
        f"filters of shape {tuple(filters_shape)} for features {tuple(features_shape)}",
        f"(B, {PLANES}*C, H, W), or (B, {TIED_PLANES}*C, H, W) for tied filters, and features (B, C, H, W)",
        "predict the filters of one iteration at the resolution of the features",
    )
