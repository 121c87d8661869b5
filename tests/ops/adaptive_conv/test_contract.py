"""The layout of the filter tensor and the refusals that every implementation shares."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.errors import OptionError
from allfocus.ops.adaptive_conv.contract import FilterLayout, check_shapes


@settings(deadline=None)
@given(channels=st.integers(1, 9), iterations=st.integers(1, 6))
def test_every_filter_channel_belongs_to_exactly_one_block(channels: int, iterations: int) -> None:
    layout = FilterLayout(channels, iterations)
    taken = [0] * layout.total
    for n in range(iterations):
        for rows in (layout.vertical(n), layout.horizontal(n), layout.bias(n)):
            for row in range(layout.total)[rows]:
                taken[row] += 1
    assert taken == [1] * layout.total


def test_layout_of_the_released_checkpoints() -> None:
    layout = FilterLayout(128, 17)
    assert layout.total == 15_232
    assert (layout.vertical(0), layout.horizontal(0)) == (slice(0, 384), slice(384, 768))
    assert layout.vertical(16) == slice(12_288, 12_672)
    assert layout.bias(0) == slice(13_056, 13_184)
    assert layout.bias(16) == slice(15_104, 15_232)


@pytest.mark.parametrize("iterations, total", [(8, 7168), (17, 15232), (26, 23296), (35, 31360), (44, 39424)])
def test_filter_channels_of_the_sweep(iterations: int, total: int) -> None:
    assert FilterLayout(128, iterations).total == total


@pytest.mark.parametrize(
    "features, filters, iterations, said",
    [
        ((3, 4, 4), (1, 21, 4, 4), 1, "add the batch axis"),
        ((1, 3, 4, 4), (1, 21, 4, 4), 0, "at least one iteration"),
        ((1, 3, 4, 4), (1, 20, 4, 4), 1, r"expected \(1, 21, 4, 4\), that is 1 iterations of \(3 \+ 3 \+ 1\) x 3"),
        ((1, 3, 4, 4), (1, 21, 4, 5), 1, r"filters of shape \(1, 21, 4, 5\)"),
        ((2, 3, 4, 4), (1, 21, 4, 4), 1, r"features \(2, 3, 4, 4\)"),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(features, filters, iterations, said) -> None:
    with pytest.raises(OptionError, match=said):
        check_shapes(features, filters, iterations)
