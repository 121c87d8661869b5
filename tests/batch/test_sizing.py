"""How many nodes: enough, and not one more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allfocus.batch.sizing import Demand, Supply, size
from allfocus.errors import OptionError


@given(st.integers(1, 10**7), st.floats(0.1, 100), st.floats(0.5, 24), st.floats(0.01, 50), st.integers(1, 128))
def test_the_cluster_is_done_in_time_and_one_node_less_would_not_be(
    photos: int, megapixels: float, hours: float, rate: float, cores: int
) -> None:
    plan = size(Demand(photos, megapixels, hours), Supply(rate, cores, 0.8))
    work, capacity = photos * megapixels, rate * cores * 0.8 * hours * 3600
    assert plan.nodes * capacity >= work * (1 - 1e-9)
    assert (plan.nodes - 1) * capacity < work
    assert plan.core_hours == pytest.approx(plan.nodes * cores * hours)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError):
        size(Demand(10, 24, 8), Supply(0.0))
