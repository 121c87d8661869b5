"""IFAN: the published sizes, shapes of what comes out, and the ways of computing the same thing."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from allfocus.errors import OptionError
from allfocus.nets.ifan import IFAN, FilterHead
from allfocus.nets.macs import count_macs
from allfocus.ops.adaptive_conv import reference
from allfocus.ops.adaptive_conv.contract import FilterLayout


def parameters(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def small(**options) -> IFAN:
    torch.manual_seed(0)
    return IFAN(**{"iterations": 3, "width": 4, **options}).eval()


def picture(net: IFAN, cells_y: int = 2, cells_x: int = 3, channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, cells_y * net.multiple, cells_x * net.multiple)


@pytest.mark.parametrize(
    "iterations, count, macs",
    [
        (8, 9_436_740, 347.915),
        (17, 10_476_996, 362.895),
        (26, 11_517_252, 377.874),
        (35, 12_557_508, 392.854),
        (44, 13_597_764, 407.834),
    ],
)
def test_published_parameters_and_macs(iterations: int, count: int, macs: float) -> None:
    with torch.device("meta"):
        net = IFAN(iterations=iterations)
        counted = count_macs(net, torch.empty(1, 3, 720, 1280))
    assert parameters(net) == count
    assert counted.with_bias_and_activation / 1e9 == pytest.approx(macs, abs=5e-4)


def test_convolution_macs_at_720p() -> None:
    with torch.device("meta"):
        assert count_macs(IFAN(), torch.empty(1, 3, 720, 1280)).convolution == 361_506_816_000


def test_dual_costs_864_parameters_more() -> None:
    with torch.device("meta"):
        net = IFAN(views=2)
        counted = count_macs(net, torch.empty(1, 3, 720, 1280), torch.empty(1, 6, 720, 1280))
    assert parameters(net) == 10_477_860
    assert counted.with_bias_and_activation / 1e9 == pytest.approx(363.691, abs=5e-4)


def test_parameters_of_each_part() -> None:
    with torch.device("meta"):
        net = IFAN()
    assert parameters(net.feature_extractor) == 19_392 + 92_352 + 369_024 + 442_752
    assert parameters(net.filter_encoder) == 923_520
    assert parameters(net.disparity_estimator) == 1_329_409
    assert parameters(net.disparity_features) == 1_280
    assert parameters(net.fuse) == 1_623_296
    assert parameters(net.filter_head) == 3_293_184
    assert parameters(net.decoder) == 1_180_672 + 852_608 + 278_848 + 69_792 + 867


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("unshuffle", [1, 2, 4])
def test_shapes_of_what_comes_out(unshuffle: int, views: int) -> None:
    net = small(unshuffle=unshuffle, views=views)
    centre = picture(net)
    out = net(centre, picture(net, channels=6) if views == 2 else None, return_filters=True)
    assert out.sharp.shape == out.residual.shape == centre.shape
    assert out.disparity.shape == (2, 1, 2, 3)
    assert out.filters is not None
    assert out.filters.shape == (2, FilterLayout(16, 3).total, 2, 3)
    assert torch.equal(out.sharp, centre + out.residual)
    assert net(centre, picture(net, channels=6) if views == 2 else None).filters is None


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_one_iteration_at_a_time_equals_the_whole_filter_tensor(tied: bool) -> None:
    net = small(tied=tied).double()
    features, embedding = torch.randn(2, 2, 16, 3, 5, dtype=torch.float64)
    whole = net.filter_head.project(embedding)
    wanted = reference.iterative_adaptive_convolution(features, whole, 3, tied=tied)
    torch.testing.assert_close(net.filter_head.filter(features, embedding, net.tied), wanted, rtol=1e-12, atol=1e-12)


def test_taps_are_the_rows_of_the_layout() -> None:
    head = FilterHead(4, 2)
    torch.nn.init.normal_(head.project.bias)
    embedding = torch.randn(1, 4, 3, 3)
    whole = head.project(embedding)
    for rows in (head.layout.vertical(1), head.layout.horizontal(0)):
        for tap, block in enumerate(head.taps(embedding, rows)):
            torch.testing.assert_close(block, whole[:, rows][:, tap::3])
    torch.testing.assert_close(head.offset(embedding, 1), whole[:, head.layout.bias(1)])


def test_a_network_without_its_last_layer_is_the_identity() -> None:
    net = small(residual_gain=0.0)
    centre = picture(net)
    assert torch.equal(net(centre).sharp, centre)


def test_unshuffle_works_on_the_shuffled_picture() -> None:
    """The fast member is the same arithmetic as twelve-channel encoders on the 2x unshuffled photo."""
    net = small(unshuffle=2)
    centre = picture(net)
    folded = functional.pixel_unshuffle(centre, 2)
    skips = net.feature_extractor(folded)
    embedding = net.filter_encoder(folded)[-1]
    disparity = net.disparity_estimator(embedding)
    embedding = net.filter_head.body(net.fuse(torch.cat([embedding, net.disparity_features(disparity)], dim=1)))
    residual = net.decoder(net.filter_head.filter(skips[-1], embedding, net.tied), skips[:-1])
    torch.testing.assert_close(net(centre).residual, functional.pixel_shuffle(residual, 2))


def test_disparity_alone_equals_that_of_the_whole_pass() -> None:
    net = small(views=2)
    pair = picture(net, channels=6)
    assert torch.equal(net.estimate_disparity(pair), net(picture(net), pair).disparity)


def test_moving_the_photo_by_one_cell_moves_the_answer() -> None:
    """Away from the borders the network is equivariant to shifts by its multiple; the reach is checked on the way."""
    net = small(iterations=1).double()
    wide = torch.rand(1, 3, 8, 8 * 61, dtype=torch.float64)
    first, second = net(wide[..., :-8]).residual, net(wide[..., 8:]).residual
    torch.testing.assert_close(first[..., 8 * 30 : 8 * 31], second[..., 8 * 29 : 8 * 30], rtol=1e-9, atol=1e-12)


def test_initial_weights_follow_xavier_with_a_livelier_head() -> None:
    torch.manual_seed(0)
    net = IFAN(iterations=2, width=16)
    fuse, head = net.fuse[0][0].weight, net.filter_head.body[0][0].weight
    assert fuse.abs().max().item() == pytest.approx((6 / (9 * (128 + 64))) ** 0.5, rel=1e-3)
    assert head.abs().max().item() == pytest.approx(1.5 * (6 / (9 * (64 + 64))) ** 0.5, rel=1e-3)
    assert all((module.bias == 0).all() for module in net.modules() if isinstance(module, torch.nn.Conv2d))


@pytest.mark.parametrize(
    "options, centre, pair, said",
    [
        ({}, (1, 3, 16, 20), None, "height and width in multiples of 8"),
        ({"unshuffle": 2}, (1, 3, 24, 16), None, "height and width in multiples of 16"),
        ({}, (1, 3, 8, 8), (1, 6, 8, 8), r"a dual-pixel pair for a network of 1 view\(s\)"),
        ({"views": 2}, (1, 3, 8, 8), None, r"no dual-pixel pair for a network of 2 view\(s\)"),
    ],
)
def test_refusals(options, centre, pair, said) -> None:
    with pytest.raises(OptionError, match=said):
        small(**options)(torch.zeros(centre), None if pair is None else torch.zeros(pair))


@pytest.mark.parametrize("options", [{"views": 3}, {"unshuffle": 3}])
def test_refuses_networks_that_do_not_exist(options) -> None:
    with pytest.raises(OptionError, match="1 or 2 views; unshuffle 1, 2 or 4"):
        IFAN(**options)


def test_scaling_the_residual_in_the_weights_scales_the_residual() -> None:
    net = IFAN(iterations=2, width=4).eval()
    photo = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        before = net(photo).residual
        net.scale_residual(0.8)
        torch.testing.assert_close(net(photo).residual, 0.8 * before, atol=1e-6, rtol=1e-5)
    with pytest.raises(OptionError, match="a gain of 0"):
        net.scale_residual(0)
