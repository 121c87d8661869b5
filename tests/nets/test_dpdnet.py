"""DPDNet against the published sizes and quirks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from allfocus.errors import OptionError
from allfocus.nets.dpdnet import DPDNet, sizes
from allfocus.nets.macs import count_macs


@pytest.mark.parametrize(
    ("name", "views", "parameters", "billions"),
    [
        ("public", 1, 31_033_423, 770.6),
        ("public", 2, 31_035_151, 772.2),
        ("large", 1, 35_252_687, 989.766),
        ("large", 2, 35_254_415, 991.359),
    ],
)
def test_parameters_and_macs_are_the_published_ones(name: str, views: int, parameters: int, billions: float) -> None:
    with torch.device("meta"):
        net = DPDNet(sizes(name, views))
        macs = count_macs(net, torch.empty(1, 3, 720, 1280), torch.empty(1, 6, 720, 1280))
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    if name == "public":  # counted without pooling
        assert round(macs.with_bias_and_activation / 1e9, 1) == billions
        assert macs.convolution == {1: 769_492_684_800, 2: 771_085_209_600}[views]
    else:  # the IFAN paper's count has pooling
        assert round(macs.total / 1e9, 3) == billions


def test_convolutions_come_in_the_order_of_the_table() -> None:
    with torch.device("meta"):
        shapes = [tuple(part.weight.shape) for part in DPDNet().convolutions]
    assert len(shapes) == 24
    assert shapes[:4] == [(64, 3, 3, 3), (64, 64, 3, 3), (128, 64, 3, 3), (128, 128, 3, 3)]
    assert shapes[8:13] == [
        (1024, 512, 3, 3),
        (1024, 1024, 3, 3),
        (512, 1024, 2, 2),
        (512, 1024, 3, 3),
        (512, 512, 3, 3),
    ]
    assert shapes[-2:] == [(3, 64, 3, 3), (3, 3, 1, 1)]


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("name", ["public", "large"])
def test_size_and_range_are_kept(name: str, views: int) -> None:
    net = DPDNet(sizes(name, views, width=4)).eval()
    out = net(torch.rand(2, 3, 32, 48), torch.rand(2, 6, 32, 48))
    assert out.shape == (2, 3, 32, 48)
    assert 0 <= out.min() <= out.max() <= 1


def test_the_inside_works_in_bgr() -> None:
    net = DPDNet(sizes("public", 2, width=2)).eval()
    seen: list[torch.Tensor] = []
    net.convolutions[0].register_forward_pre_hook(lambda _part, inputs: seen.append(inputs[0]))
    pair = torch.rand(1, 6, 16, 16)
    out = net(pair[:, :3], pair)
    assert torch.equal(seen[0], pair[:, [2, 1, 0, 5, 4, 3]])
    assert out.shape == (1, 3, 16, 16)
    last = net.head[2]
    assert isinstance(last, nn.Conv2d)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([5.0, 0.0, -5.0]))  # type: ignore[union-attr]  # blue, green, red
        red, green, blue = net(pair[:, :3], pair)[0, :, 0, 0]
    assert red < green < blue


def test_the_even_convolution_reads_right_and_below() -> None:
    net = DPDNet(sizes("public", 1, width=2)).eval()
    even = net.up[0][0]
    assert isinstance(even, nn.Conv2d)
    with torch.no_grad():
        even.weight.zero_()
        even.weight[0, 0, 1, 1] = 1.0  # the tap at the lower right
        even.bias.zero_()  # type: ignore[union-attr]
    gathered: list[torch.Tensor] = []
    even.register_forward_hook(lambda _part, inputs, output: gathered.extend((inputs[0], output)))
    net(torch.rand(1, 3, 32, 32))
    padded, output = gathered
    assert torch.equal(output[0, 0], padded[0, 0, 1:, 1:])
    assert not padded[..., -1].any()
    assert not padded[..., -1, :].any()


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    net = DPDNet(sizes("public", 1, width=4))
    photo = torch.rand(1, 3, 32, 32)
    assert not torch.equal(net.train()(photo), net(photo))
    assert torch.equal(net.eval()(photo), net(photo))


def test_refusals_say_what_fits() -> None:
    with pytest.raises(OptionError, match="'public' or 'large', 1 or 2 views"):
        sizes("huge")
    with pytest.raises(OptionError, match="the left and the right view"):
        DPDNet(sizes("public", 2, width=2))(torch.rand(1, 3, 16, 16))
