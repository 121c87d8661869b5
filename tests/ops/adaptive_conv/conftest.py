"""What the implementations are compared on, and how."""

from __future__ import annotations

import pytest
import torch

from allfocus.ops.adaptive_conv.contract import FilterLayout

KINK_MARGIN = 6.0


@pytest.fixture(scope="session")
def problem():
    """Makes features (2, C, H, W) and the whole filter tensor that belongs to them."""

    def make(channels, iterations, height, width, dtype=torch.float64, *, seed=0, device="cpu"):
        draw = torch.Generator().manual_seed(seed)
        features = torch.randn(2, channels, height, width, dtype=torch.float64, generator=draw)
        rows = FilterLayout(channels, iterations).total
        filters = 0.5 * torch.randn(2, rows, height, width, dtype=torch.float64, generator=draw)
        return features.to(device, dtype), filters.to(device, dtype)

    return make


@pytest.fixture(scope="session")
def away_from_the_kink():
    """Moves every sum away from 0, where rounding decides the slope of the LeakyReLU and so the whole gradient."""

    def move(filters, layout):
        moved = filters.clone()
        for n in range(layout.iterations):
            bias = moved[:, layout.bias(n)]
            bias.copy_(torch.where(bias > 0, 1.0, -1.0) * KINK_MARGIN ** (n + 1))
        return moved

    return move


@pytest.fixture(scope="session")
def answers():
    """Gives what an implementation computes, and the gradients of a weighted sum of it for features and filters."""

    def ask(implementation, features, filters, iterations, **options):
        features, filters = features.clone().requires_grad_(), filters.clone().requires_grad_()
        out = implementation(features, filters, iterations, **options)
        weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view_as(out)
        return out.detach(), *torch.autograd.grad((out * weights).sum(), (features, filters))

    return ask
