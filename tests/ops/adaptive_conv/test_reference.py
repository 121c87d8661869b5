"""The oracle itself, held to laws that need no second implementation."""

from __future__ import annotations

import pytest
import torch

from allfocus.ops.adaptive_conv.contract import FilterLayout
from allfocus.ops.adaptive_conv.reference import iterative_adaptive_convolution


def constant_filters(layout: FilterLayout, height: int, width: int, vertical, horizontal, bias: float) -> torch.Tensor:
    """The same taps at every pixel and channel, in every iteration."""
    rows = torch.full((layout.total,), float("nan"), dtype=torch.float64)
    for n in range(layout.iterations):
        rows[layout.vertical(n)] = torch.tensor(vertical, dtype=torch.float64).repeat(layout.channels)
        rows[layout.horizontal(n)] = torch.tensor(horizontal, dtype=torch.float64).repeat(layout.channels)
        rows[layout.bias(n)] = bias
    return rows.view(1, -1, 1, 1).expand(-1, -1, height, width).contiguous()


IDENTITY, UPPER, LEFT = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 0.0, 0.0)


@pytest.mark.parametrize("tied", [False, True])
def test_identity_taps_are_n_leaky_relus(tied: bool) -> None:
    features = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    filters = constant_filters(FilterLayout(2, 3), 4, 5, IDENTITY, IDENTITY, 0.0)
    got = iterative_adaptive_convolution(features, filters, 3, tied=tied)
    assert torch.equal(got, torch.where(features >= 0, features, 0.1 * (0.1 * (0.1 * features))))
    not_last = iterative_adaptive_convolution(features, filters, 3, tied=tied, activate_last=False)
    assert torch.equal(not_last, torch.where(features >= 0, features, 0.1 * (0.1 * features)))


def test_a_constant_stays_constant_up_to_the_border_when_taps_sum_to_one() -> None:
    features = torch.full((1, 2, 5, 4), 0.75, dtype=torch.float64)
    filters = constant_filters(FilterLayout(2, 2), 5, 4, (0.5, 0.25, 0.25), (0.125, 0.125, 0.75), 0.0)
    assert torch.equal(iterative_adaptive_convolution(features, filters, 2), features)


def test_tap_zero_is_the_upper_and_the_left_neighbour() -> None:
    features = torch.arange(12.0, dtype=torch.float64).view(1, 1, 3, 4)
    layout = FilterLayout(1, 1)
    down = iterative_adaptive_convolution(features, constant_filters(layout, 3, 4, UPPER, IDENTITY, 0.0), 1)
    assert torch.equal(down, torch.cat([features[:, :, :1], features[:, :, :-1]], dim=2))
    right = iterative_adaptive_convolution(features, constant_filters(layout, 3, 4, IDENTITY, LEFT, 0.0), 1)
    assert torch.equal(right, torch.cat([features[..., :1], features[..., :-1]], dim=3))


def test_the_neighbour_was_filtered_with_its_own_vertical_filter() -> None:
    features = torch.ones(1, 1, 1, 2, dtype=torch.float64)
    filters = constant_filters(FilterLayout(1, 1), 1, 2, IDENTITY, LEFT, 0.0)
    filters[0, 1, 0, 0] = 5.0  # the middle vertical tap of the left pixel only
    assert torch.equal(iterative_adaptive_convolution(features, filters, 1)[0, 0, 0], torch.tensor([5.0, 5.0]).double())


def test_channels_do_not_mix_and_biases_stand_at_the_end() -> None:
    layout = FilterLayout(2, 2)
    filters = torch.zeros(1, layout.total, 3, 3)
    filters[:, layout.bias(1)][:, 1] = 7.0
    got = iterative_adaptive_convolution(torch.randn(1, 2, 3, 3), filters, 2)
    assert (got[:, 0] == 0).all()
    assert (got[:, 1] == 7).all()


def test_tied_ignores_the_second_filters_and_equals_untied_when_they_agree() -> None:
    layout = FilterLayout(2, 2)
    features = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    filters = torch.randn(2, layout.total, 3, 4, dtype=torch.float64)
    tied = iterative_adaptive_convolution(features, filters, 2, tied=True)
    spoilt, copied = filters.clone(), filters.clone()
    for n in range(2):
        spoilt[:, layout.horizontal(n)] = float("nan")
        copied[:, layout.horizontal(n)] = filters[:, layout.vertical(n)]
    assert torch.equal(iterative_adaptive_convolution(features, spoilt, 2, tied=True), tied)
    assert torch.equal(iterative_adaptive_convolution(features, copied, 2), tied)


def test_it_computes_in_float64_whatever_came() -> None:
    got = iterative_adaptive_convolution(torch.randn(1, 1, 2, 2).half(), torch.randn(1, 7, 2, 2).bfloat16(), 1)
    assert got.dtype == torch.float64
