"""The building blocks against their definitions."""

from __future__ import annotations

import torch
from torch.nn import functional

from allfocus.nets.blocks import ResidualBlock, convolution, up_convolution


def test_convolution_halves_and_activates() -> None:
    layer = convolution(3, 5, stride=2)
    picture = torch.randn(2, 3, 8, 6)
    wanted = functional.conv2d(picture, layer[0].weight, layer[0].bias, stride=2, padding=1)
    assert torch.equal(layer(picture), torch.where(wanted > 0, wanted, 0.1 * wanted))


def test_up_convolution_doubles_exactly() -> None:
    assert up_convolution(3, 5)(torch.zeros(2, 3, 4, 7)).shape == (2, 5, 8, 14)


def test_one_stem_has_no_outer_skip_and_two_have() -> None:
    features = torch.randn(1, 4, 5, 5)
    for stems, copies in ((1, 0.0), (2, 1.0), (3, 1.0)):
        block = ResidualBlock(4, stems)
        for parameter in block.parameters():
            torch.nn.init.zeros_(parameter)
        state = features
        for _ in range(stems):
            state = functional.leaky_relu(state, 0.1)
        torch.testing.assert_close(block(features), state + copies * features)
