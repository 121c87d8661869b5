"""The counting rule, on layers small enough to count by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from allfocus.nets.ifan import IFAN
from allfocus.nets.macs import Macs, count_macs, macs_of_network


def test_a_strided_convolution_with_activation() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.1))
    # 4x3x3x3 weights at 4x5 places; 4 biases and 4 activations at each
    assert count_macs(net, torch.zeros(2, 3, 8, 10)) == Macs(2 * 108 * 20, 2 * (108 * 20 + 80 + 80))


def test_a_transposed_convolution_walks_over_its_input() -> None:
    net = nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1)
    assert count_macs(net, torch.zeros(1, 3, 6, 7)) == Macs(3 * 5 * 16 * 42, 3 * 5 * 16 * 42 + 5 * 12 * 14)


def test_functional_convolutions_count_and_functional_activations_do_not() -> None:
    class Functional(nn.Module):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return functional.leaky_relu(functional.conv2d(picture, torch.ones(2, 3, 1, 1)))

    assert count_macs(Functional(), torch.zeros(1, 3, 4, 4)) == Macs(96, 96)


def test_no_hook_stays_behind() -> None:
    net = nn.Sequential(nn.LeakyReLU())
    count_macs(net, torch.zeros(1, 1, 1, 1))
    assert not net[0]._forward_hooks


def test_a_photo_of_720p_is_padded_to_what_the_network_takes() -> None:
    net = IFAN(iterations=1, unshuffle=4, width=4)
    with torch.device("meta"):
        wanted = count_macs(IFAN(iterations=1, unshuffle=4, width=4), torch.empty(1, 3, 736, 1280))
    assert macs_of_network(net, 1) == wanted
