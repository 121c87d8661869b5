"""DMENet against the published sizes and quirks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from allfocus.nets.dmenet import DMENet, _double, sigma_px
from allfocus.nets.macs import count_macs


def test_parameters_and_macs_are_the_published_ones() -> None:
    with torch.device("meta"):
        net = DMENet()
        macs = count_macs(net, torch.empty(1, 3, 720, 1280))
    convolutions = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    assert sum(p.numel() for part in convolutions for p in part.parameters()) == 26_936_454
    assert sum(p.numel() for p in net.parameters()) == 26_943_184  # with the normalisations' 26.943 M
    assert round(macs.convolution / 1e9, 1) == 1166.8
    biased = macs.with_bias_and_activation - macs.convolution
    assert biased > 0
    assert round(macs.normalisation / 1e9, 1) == 3.0


def test_maps_have_five_scales_and_a_range() -> None:
    torch.manual_seed(0)
    maps = DMENet(scale=0.05).eval()(torch.rand(2, 3, 48, 64))
    assert maps.defocus.shape == (2, 1, 48, 64)
    assert [tuple(one.shape[-2:]) for one in maps.auxiliary] == [(3, 4), (6, 8), (12, 16), (24, 32), (48, 64)]
    for one in (maps.defocus, *maps.auxiliary):
        assert 0 <= one.min() <= one.max() <= 1


def test_the_encoder_sees_vgg_pixels() -> None:
    net = DMENet(scale=0.02).eval()
    seen: list[torch.Tensor] = []
    net.encoder[0][0].register_forward_pre_hook(lambda _part, inputs: seen.append(inputs[0]))  # type: ignore[index]
    net(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16))
    blue, green, red = seen[0][0, :, 0, 0].tolist()
    assert (blue, green, red) == pytest.approx((-103.939, 127.5 - 116.779, 255 - 123.68), abs=1e-4)


def test_padding_mirrors_with_the_edge() -> None:
    net = DMENet(scale=0.02)
    first = net.encoder[0][0]  # type: ignore[index]
    assert isinstance(first, nn.Conv2d)
    picture = torch.rand(1, 3, 5, 7)
    mirrored = torch.cat([picture[..., :1], picture, picture[..., -1:]], dim=-1)
    mirrored = torch.cat([mirrored[..., :1, :], mirrored, mirrored[..., -1:, :]], dim=-2)
    torch.testing.assert_close(first(picture), functional.conv2d(mirrored, first.weight, first.bias))


def test_doubling_aligns_the_corners() -> None:
    line = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 2, 4)
    # k * 3 / 7, rounded: 0, .43, .86, 1.29, 1.71, 2.14, 2.57, 3
    assert _double(line, torch.Size((4, 8)))[0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    five = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 1, 5)
    # k * 4 / 9: .44 -> 0, .89 -> 1, 1.33, 1.78 -> 2, 2.22, 2.67 -> 3, 3.11, 3.56 -> 4
    assert _double(five, torch.Size((2, 10)))[0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_sigma_follows_the_diameter() -> None:
    found = sigma_px(torch.tensor([0.0, 1 / 15, 0.5, 1.0]))
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 3.25, 7.0]))
