"""`allfocus release` of a learnt baseline: its card says what the shipped one of the same settings says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from allfocus.checkpoints.baseline import load_dmenet, load_dpdnet
from allfocus.cli.release import _write_baseline
from allfocus.train.config import TrainConfig
from allfocus.train.provenance import Provenance
from allfocus.train.tasks.registry import build
from allfocus.weights.card import Card
from allfocus.weights.store import SHIPPED


@pytest.mark.parametrize("name", ["dpdnet-s-small", "dpdnet-d-small", "dmenet-small"])
def test_the_provenance_of_a_baseline_builds_what_is_shipped(name: str, tmp_path: Path) -> None:
    config = TrainConfig.from_dict(Provenance.read(name).stages[-1].settings)
    torch.manual_seed(0)
    net = build(config).net
    card, path = _write_baseline(config, net, name, tmp_path, None)
    shipped = Card.read(SHIPPED / "baselines" / f"{name}.json")
    for what in ("architecture", "parameters", "multiple", "context_px", "views", "outputs", "licence"):
        found, wanted = (json.loads(json.dumps(getattr(one, what))) for one in (card, shipped))
        assert found == wanted, what
    again = load_dmenet(path) if name.startswith("dmenet") else load_dpdnet(path, card.views)
    assert again.state_dict().keys() == net.state_dict().keys()
