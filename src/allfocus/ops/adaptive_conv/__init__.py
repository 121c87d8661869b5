"""Iterative adaptive convolution: per-pixel stacked separable filters (see README.md in this folder)."""

from allfocus.ops.adaptive_conv.contract import FilterLayout
from allfocus.ops.adaptive_conv.eager import adaptive_pass, iterative_adaptive_convolution
from allfocus.ops.adaptive_conv.operator import predicted_adaptive_convolution

__all__ = [
    "FilterLayout",
    "adaptive_pass",
    "iterative_adaptive_convolution",
    "predicted_adaptive_convolution",
]
