"""IFAN, the iterative filter adaptive network (Lee et al., CVPR 2021), and its fast member on half-size features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from allfocus.errors import OptionError
from allfocus.nets.blocks import ResidualBlock, convolution, initialise, up_convolution
from allfocus.ops.adaptive_conv import FilterLayout, adaptive_pass, predicted_adaptive_convolution
from allfocus.ops.adaptive_conv.choose import choose, exporting
from allfocus.ops.adaptive_conv.contract import TAPS

Middle = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""Filtered features, disparity and filter tensor, the last two where a network has them."""


class IFANOutput(NamedTuple):
    """What one forward pass gives.

    Attributes:
        sharp: (B, 3, H, W) photo plus residual, not clipped.
        residual: (B, 3, H, W) what was added to the photo.
        disparity: (B, 1, H/m, W/m) estimated disparity in cells of m = `IFAN.multiple` px; positive where the right
            view has to be sampled further right to look like the left view (surfaces behind the focus plane). None
            from the ablation networks that estimate none.
        filters: (B, K, H/m, W/m) the whole filter tensor in the order of `FilterLayout`, or None unless asked for.
    """

    sharp: torch.Tensor
    residual: torch.Tensor
    disparity: torch.Tensor | None
    filters: torch.Tensor | None


class FeatureEncoder(nn.Module):
    """Four levels of three convolutions: full, 1/2, 1/4 and 1/8 size; widths w, 2w, 4w, 4w."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.levels = nn.ModuleList()
        for level, channels in enumerate(widths):
            before = channels_in if level == 0 else widths[level - 1]
            self.levels.append(
                nn.Sequential(
                    convolution(before, channels, stride=1 if level == 0 else 2),
                    convolution(channels, channels),
                    convolution(channels, channels),
                )
            )

    def forward(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """(B, in, H, W) -> features of the four levels, finest first."""
        features = []
        for level in self.levels:
            picture = level(picture)
            features.append(picture)
        return features


class DisparityEstimator(nn.Module):
    """Deepest encoder features -> disparity map: (B, 4w, h, w) -> (B, 1, h, w) in cells."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels), ResidualBlock(channels, 2), ResidualBlock(channels, 2)
        )
        self.project = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) -> (B, 1, h, w)."""
        return self.project(self.body(features))


class FilterHead(nn.Module):
    """Predicts the per-pixel filters, whole or one iteration at a time.

    Args:
        channels: width in, and channels of the features that will be filtered.
        iterations: N.
    """

    def __init__(self, channels: int, iterations: int) -> None:
        super().__init__()
        self.layout = FilterLayout(channels, iterations)
        self.body = nn.Sequential(
            convolution(channels, channels), ResidualBlock(channels, 2), ResidualBlock(channels, 2)
        )
        self.project = nn.Conv2d(channels, self.layout.total, 1)

    def taps(self, embedding: torch.Tensor, rows: slice) -> tuple[torch.Tensor, ...]:
        """The three taps of one 1-D filter block, each predicted by its own 1x1 convolution: 3 x (B, C, h, w).

        The rows of the head are regrouped by tap on the weights, not on the predicted tensor: on constant weights
        an inference engine folds that away, on the tensor it would be a strided copy at every pixel.
        """
        weight = self.project.weight[rows].unflatten(0, (self.layout.channels, TAPS))
        bias = _rows(self.project.bias, rows).unflatten(0, (self.layout.channels, TAPS))
        return tuple(functional.conv2d(embedding, weight[:, tap], bias[:, tap]) for tap in range(TAPS))

    def offset(self, embedding: torch.Tensor, iteration: int) -> torch.Tensor:
        """The bias b of one iteration: (B, C, h, w)."""
        rows = self.layout.bias(iteration)
        return functional.conv2d(embedding, self.project.weight[rows], _rows(self.project.bias, rows))

    def filter(self, features: torch.Tensor, embedding: torch.Tensor, tied: bool) -> torch.Tensor:
        """Predict and apply all iterations, one at a time: the whole filter tensor never exists.

        Args:
            features: (B, C, h, w) what is filtered.
            embedding: (B, C, h, w) what `body` gave.
            tied: filter horizontally with the vertical filters again.

        Returns:
            (B, C, h, w).
        """
        learning = torch.is_grad_enabled() and self.project.weight.requires_grad and not exporting()
        if learning or choose(features).name != "eager":
            weight, bias = self.project.weight, _rows(self.project.bias, slice(None))
            return predicted_adaptive_convolution(features, embedding, weight, bias, self.layout.iterations, tied=tied)
        for n in range(self.layout.iterations):
            vertical = self.taps(embedding, self.layout.vertical(n))
            horizontal = vertical if tied else self.taps(embedding, self.layout.horizontal(n))
            features = adaptive_pass(features, vertical, horizontal, self.offset(embedding, n))
        return features


def _rows(bias: torch.Tensor | None, rows: slice) -> torch.Tensor:
    assert bias is not None  # the head is built with a bias
    return bias[rows]


class ResidualDecoder(nn.Module):
    """Filtered features and the three finer encoder levels -> residual: (B, 4w, H/8, W/8) -> (B, out, H, W)."""

    def __init__(self, channels_out: int, width: int, stems: int = 3) -> None:
        super().__init__()
        deep = 4 * width
        self.bottom = nn.Sequential(convolution(deep, deep), ResidualBlock(deep, stems), convolution(deep, deep))
        steps = ((deep, deep), (deep, 2 * width), (2 * width, width))
        self.up = nn.ModuleList(up_convolution(before, after) for before, after in steps)
        self.refine = nn.ModuleList(nn.Sequential(ResidualBlock(after), ResidualBlock(after)) for _, after in steps)
        self.out = convolution(width, channels_out)

    def forward(self, filtered: torch.Tensor, skips: list[torch.Tensor]) -> torch.Tensor:
        """Skips come finest first; each is added after the up-convolution's activation."""
        state = self.bottom(filtered)
        for up, refine, skip in zip(self.up, self.refine, reversed(skips), strict=True):
            state = refine(up(state) + skip)
        return self.out(state)


def fusion(channels: int) -> nn.Sequential:
    """Two feature maps stacked -> one: (B, 2C, h, w) -> (B, C, h, w)."""
    blocks = (ResidualBlock(channels, 2), ResidualBlock(channels, 2))
    return nn.Sequential(convolution(2 * channels, channels), *blocks, convolution(channels, channels))


class IFAN(nn.Module):
    """Single-photo (or dual-view) defocus deblurring by per-pixel stacked separable filters.

    The layer table is that of Lee et al., CVPR 2021, with 10,476,996 parameters at the defaults. With ``unshuffle=2``
    the same network works on a 2x pixel-unshuffled photo and shuffles its output back: a quarter of the work.

    Args:
        iterations: N, pairs of 1-D filters applied one after the other.
        views: 1 predicts the filters from the photo; 2 from the right and the left dual-pixel view.
        unshuffle: 1, 2 for the fast member, or 4.
        tied: use the vertical filters in the horizontal pass as well, as the released checkpoints do.
        width: channels at full size (32 in the paper).
        residual_gain: scale of the initial weights of the last convolution; below 1 starts near the identity.
    """

    decoder_stems = 3

    def __init__(
        self,
        iterations: int = 17,
        views: int = 1,
        unshuffle: int = 1,
        tied: bool = False,
        width: int = 32,
        residual_gain: float = 1.0,
    ) -> None:
        super().__init__()
        if views not in (1, 2) or unshuffle not in (1, 2, 4):
            raise OptionError(
                f"views={views}, unshuffle={unshuffle}", "1 or 2 views; unshuffle 1, 2 or 4", "use the defaults"
            )
        self.iterations, self.views, self.unshuffle, self.tied, self.width = iterations, views, unshuffle, tied, width
        colours = 3 * unshuffle**2
        deep = 4 * width
        self.feature_extractor = FeatureEncoder(colours, width)
        self.filter_encoder = FeatureEncoder(colours * views, width)
        self.build_middle(deep)
        self.decoder = ResidualDecoder(colours, width, self.decoder_stems)
        self.initialise(residual_gain)

    def build_middle(self, deep: int) -> None:
        """Make the modules between the encoders and the decoder; the ablation networks have others there."""
        self.disparity_estimator = DisparityEstimator(deep)
        self.disparity_features = convolution(1, deep)
        self.fuse = fusion(deep)
        self.filter_head = FilterHead(deep, self.iterations)

    @property
    def multiple(self) -> int:
        """Height and width of the input are multiples of this; also the side of a disparity cell in px."""
        return 8 * self.unshuffle

    def initialise(self, residual_gain: float = 1.0) -> None:
        """Xavier-uniform weights with gain 1 (1.5 in the filter head, as the paper's code has it), zero biases."""
        initialise(self)
        if hasattr(self, "filter_head"):
            initialise(self.filter_head, gain=1.5)
        final = self.decoder.out[0]
        assert isinstance(final, nn.Conv2d)
        with torch.no_grad():
            final.weight.mul_(residual_gain)

    @torch.no_grad()
    def scale_residual(self, gain: float) -> None:
        """Multiply the residual by a positive factor, in the weights: the last convolution is scaled.

        That works because LeakyReLU(g x) = g LeakyReLU(x) for g > 0. A factor below 1 calibrates a network that is too
        sure of itself on photos from elsewhere.

        Raises:
            OptionError: a factor that is not positive.
        """
        if not gain > 0:
            raise OptionError(f"a gain of {gain}", "a positive number", "1 leaves the network as it is")
        for parameter in self.decoder.out.parameters():
            parameter.mul_(gain)

    def estimate_disparity(self, guide: torch.Tensor) -> torch.Tensor:
        """Disparity of a guide picture alone: (B, 3*views, H, W) -> (B, 1, H/m, W/m) cells; OptionError without one."""
        self._check_has("disparity_estimator")
        return self.disparity_estimator(self.filter_encoder(self._fold(guide))[-1])

    def forward(
        self, centre: torch.Tensor, pair: torch.Tensor | None = None, return_filters: bool = False
    ) -> IFANOutput:
        """Restore a batch.

        Args:
            centre: (B, 3, H, W) RGB in [0, 1]; H and W multiples of `multiple`.
            pair: (B, 6, H, W) right view then left view, for ``views=2``.
            return_filters: also give the whole filter tensor (the reblurring network reads it).

        Raises:
            OptionError: if the sizes or the number of views do not fit.
        """
        self._check(centre, pair)
        if return_filters:
            self._check_has("filter_head")
        skips, embedding = self.encode(centre, pair)
        filtered, disparity, filters = self.middle(skips[-1], embedding, return_filters)
        residual = self._unfold(self.decoder(filtered, skips[:-1]))
        return IFANOutput(centre + residual, residual, disparity, filters)

    def encode(self, centre: torch.Tensor, pair: torch.Tensor | None = None) -> tuple[list[torch.Tensor], torch.Tensor]:
        """What both encoders make of a batch: features of four levels, finest first, and the filter embedding."""
        skips = self.feature_extractor(self._fold(centre))
        return skips, self.filter_encoder(self._fold(centre if pair is None else pair))[-1]

    def middle(self, features: torch.Tensor, embedding: torch.Tensor, return_filters: bool) -> Middle:
        """Deepest features and filter embedding, both (B, 4w, h, w) -> filtered features, disparity, filter tensor."""
        disparity = self.disparity_estimator(embedding)
        embedding = self.fuse(torch.cat([embedding, self.disparity_features(disparity)], dim=1))
        embedding = self.filter_head.body(embedding)
        filtered = self.filter_head.filter(features, embedding, self.tied)
        return filtered, disparity, self.filter_head.project(embedding) if return_filters else None

    def _fold(self, picture: torch.Tensor) -> torch.Tensor:
        return picture if self.unshuffle == 1 else functional.pixel_unshuffle(picture, self.unshuffle)

    def _unfold(self, picture: torch.Tensor) -> torch.Tensor:
        return picture if self.unshuffle == 1 else functional.pixel_shuffle(picture, self.unshuffle)

    def _check_has(self, part: str) -> None:
        if not hasattr(self, part):
            raise OptionError(
                f"a {type(self).__name__}, which has no {part.replace('_', ' ')}",
                "a network with it",
                "switch that loss off, or train 'ifan'",
            )

    def _check(self, centre: torch.Tensor, pair: torch.Tensor | None) -> None:
        if centre.shape[-2] % self.multiple or centre.shape[-1] % self.multiple:
            raise OptionError(
                f"a batch of shape {tuple(centre.shape)}",
                f"height and width in multiples of {self.multiple}",
                "pad it, or let allfocus.deblur do so",
            )
        if (pair is not None) != (self.views == 2):
            raise OptionError(
                f"{'a' if pair is not None else 'no'} dual-pixel pair for a network of {self.views} view(s)",
                "a pair (right, left) for two views, none for one",
                "build the network with the number of views that you have",
            )
