from __future__ import annotations

import pytest

from allfocus.evaluate.cost import Cost, cost_as_published, cost_of_architecture


def test_costs_by_both_rules() -> None:
    cost = cost_of_architecture({})
    assert cost.parameters == 10_476_996
    assert cost.macs_convolution is not None and round(cost.macs_convolution / 1e9, 3) == 361.507
    assert cost.macs is not None and round(cost.macs / 1e9, 1) == 362.9
    assert cost_of_architecture({"no_such_argument": 1}) == Cost()


@pytest.mark.parametrize(
    ("method", "millions", "billions"),
    [("dpdnet-s", 35.25, 989.8), ("dpdnet-d", 35.25, 991.4), ("ifan", 10.48, 362.9), ("ablation-none", 10.58, 364.3)],
)
def test_networks_of_the_paper_cost_what_it_says(method: str, millions: float, billions: float) -> None:
    cost = cost_as_published(method)
    assert cost.parameters is not None and round(cost.parameters / 1e6, 2) == millions
    assert cost.macs is not None and round(cost.macs / 1e9, 1) == billions


@pytest.mark.parametrize("method", ["ebdb", "dmenet-small", "input", "theirs"])
def test_what_has_no_published_network_has_no_cost(method: str) -> None:
    assert cost_as_published(method) == Cost()
