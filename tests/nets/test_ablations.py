"""The ablation networks: their parts, what they refuse, and that they answer like IFAN."""

from __future__ import annotations

import pytest
import torch

from allfocus.errors import OptionError
from allfocus.nets.ablations import DisparityOnly, FiltersOnly, Plain
from allfocus.nets.ifan import IFAN

ALL = [Plain, DisparityOnly, FiltersOnly]


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("kind", ALL)
def test_answers_like_ifan(kind: type[IFAN], unshuffle: int) -> None:
    net = kind(iterations=2, width=4, unshuffle=unshuffle)
    centre = torch.rand(2, 3, 2 * net.multiple, 3 * net.multiple)
    out = net(centre)
    assert out.sharp.shape == centre.shape
    assert (out.disparity is not None) == (kind is DisparityOnly)
    assert out.disparity is None or out.disparity.shape == (2, 1, 2, 3)
    out.sharp.square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("kind", ALL)
def test_shares_extractor_encoder_and_decoder_with_ifan(kind: type[IFAN]) -> None:
    with torch.device("meta"):
        net, ifan = kind(), IFAN()
    for part in ("feature_extractor", "filter_encoder"):
        assert parameters(getattr(net, part)) == parameters(getattr(ifan, part))
    extra_stems = 16 if kind is Plain else 0
    assert parameters(net.decoder) - parameters(ifan.decoder) == extra_stems * 2 * (128 * 128 * 9 + 128)


def test_the_padded_layers_are_those_of_the_table() -> None:
    with torch.device("meta"):
        disparity, filters = DisparityOnly(), FiltersOnly()
    assert disparity.disparity_features[0].kernel_size == (1, 1)
    assert disparity.fuse[2][0].out_channels == 192
    assert [len(block.stem) for block in (disparity.fuse[1], disparity.aggregate[1], disparity.aggregate[2])] == [
        4,
        5,
        4,
    ]
    assert filters.context[2][0].out_channels == 129


def test_filters_of_the_row_f_are_whole() -> None:
    net = FiltersOnly(iterations=2, width=4)
    out = net(torch.rand(1, 3, 16, 16), return_filters=True)
    assert out.filters is not None
    assert out.filters.shape == (1, net.filter_head.layout.total, 2, 2)


@pytest.mark.parametrize("kind", [Plain, DisparityOnly])
def test_refuses_filters_that_it_does_not_have(kind: type[IFAN]) -> None:
    with pytest.raises(OptionError, match="which has no filter head"):
        kind(width=4)(torch.rand(1, 3, 8, 8), return_filters=True)


@pytest.mark.parametrize("kind", [Plain, FiltersOnly])
def test_refuses_a_disparity_loss_that_could_teach_nothing(kind: type[IFAN]) -> None:
    with pytest.raises(OptionError, match="which has no disparity estimator"):
        kind(width=4).estimate_disparity(torch.rand(1, 3, 8, 8))
