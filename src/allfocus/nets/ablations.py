"""The ablation networks of the IFAN paper: what replaces the filters and the disparity between encoders and decoder.

Arguments and output as `IFAN`. The odd numbers of stems and channels give all rows nearly the same size. Row F+D is
IFAN itself trained without the reblurring loss, row F+R is `FiltersOnly` trained with it.
"""

from __future__ import annotations

import torch
from torch import nn

from allfocus.nets.blocks import NEGATIVE_SLOPE, ResidualBlock, convolution
from allfocus.nets.ifan import IFAN, DisparityEstimator, FilterHead, Middle, fusion


class Plain(IFAN):
    """Row "none": neither filters nor disparity; 10,575,811 parameters.

    The features of both encoders are fused and decoded directly; the decoder's first residual block is deeper.
    """

    decoder_stems = 19

    def build_middle(self, deep: int) -> None:
        """See `IFAN.build_middle`."""
        self.fuse = fusion(deep)

    def middle(self, features: torch.Tensor, embedding: torch.Tensor, return_filters: bool) -> Middle:
        """See `IFAN.middle`."""
        return self.fuse(torch.cat([embedding, features], dim=1)), None, None


class DisparityOnly(IFAN):
    """Row D: a disparity map guides ordinary convolutions; 10,577,028 parameters."""

    def build_middle(self, deep: int) -> None:
        """See `IFAN.build_middle`."""
        self.disparity_estimator = DisparityEstimator(deep)
        self.disparity_features = nn.Sequential(nn.Conv2d(1, deep, 1), nn.LeakyReLU(NEGATIVE_SLOPE))
        self.fuse = nn.Sequential(
            convolution(2 * deep, deep),
            ResidualBlock(deep, 4),
            convolution(deep, deep * 3 // 2),
            convolution(deep * 3 // 2, deep),
        )
        self.aggregate = nn.Sequential(
            convolution(2 * deep, deep), ResidualBlock(deep, 5), ResidualBlock(deep, 4), convolution(deep, deep)
        )

    def middle(self, features: torch.Tensor, embedding: torch.Tensor, return_filters: bool) -> Middle:
        """See `IFAN.middle`."""
        disparity = self.disparity_estimator(embedding)
        embedding = self.fuse(torch.cat([embedding, self.disparity_features(disparity)], dim=1))
        return self.aggregate(torch.cat([embedding, features], dim=1)), disparity, None


class FiltersOnly(IFAN):
    """Rows F and F+R: filters predicted without a disparity map; 10,476,868 parameters."""

    def build_middle(self, deep: int) -> None:
        """See `IFAN.build_middle`."""
        self.context = nn.Sequential(
            convolution(deep, deep), ResidualBlock(deep, 3), convolution(deep, deep + 1), convolution(deep + 1, deep)
        )
        self.fuse = fusion(deep)
        self.filter_head = FilterHead(deep, self.iterations)

    def middle(self, features: torch.Tensor, embedding: torch.Tensor, return_filters: bool) -> Middle:
        """See `IFAN.middle`."""
        embedding = self.fuse(torch.cat([embedding, self.context(embedding)], dim=1))
        embedding = self.filter_head.body(embedding)
        filtered = self.filter_head.filter(features, embedding, self.tied)
        return filtered, None, self.filter_head.project(embedding) if return_filters else None
