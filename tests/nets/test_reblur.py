"""The reblurring network: published sizes and the laws of its filters."""

from __future__ import annotations

import pytest
import torch

from allfocus.nets.reblur import ReblurringNetwork
from allfocus.ops.adaptive_conv.contract import FilterLayout


@pytest.mark.parametrize(
    "deblurring, reblurring, count",
    [(8, 8, 9_632_040), (17, 17, 19_139_685), (26, 9, 28_235_709), (35, 17, 37_719_141), (44, 17, 47_008_869)],
)
def test_published_parameters(deblurring: int, reblurring: int, count: int) -> None:
    with torch.device("meta"):
        net = ReblurringNetwork(FilterLayout(128, deblurring).total, reblurring)
    assert sum(parameter.numel() for parameter in net.parameters()) == count


@pytest.mark.parametrize("tied", [True, False])
def test_zero_filters_leave_the_picture(tied: bool) -> None:
    net = ReblurringNetwork(14, 2, tied=tied, width=8)
    torch.nn.init.zeros_(net.project.weight)
    sharp = torch.rand(2, 3, 5, 7)
    assert torch.equal(net(sharp, torch.randn(2, 14, 5, 7)), sharp)


def test_the_last_iteration_is_not_activated() -> None:
    net = ReblurringNetwork(7, 1, width=8)
    torch.nn.init.zeros_(net.project.weight)
    with torch.no_grad():
        net.project.bias[FilterLayout(3, 1).bias(0)] = -1.0
    sharp = torch.rand(1, 3, 1, 1)
    torch.testing.assert_close(net(sharp, torch.zeros(1, 7, 1, 1)), sharp - 1.0)


def test_its_loss_reaches_the_deblurring_filters() -> None:
    net = ReblurringNetwork(14, 2, width=8)
    filters = torch.randn(1, 14, 3, 3, requires_grad=True)
    net(torch.rand(1, 3, 3, 3), filters).square().mean().backward()
    assert filters.grad is not None
    assert filters.grad.abs().sum() > 0
