"""`allfocus release`: calibrated weights, and cards that say what those of shipped models of the same settings say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from allfocus.checkpoints.baseline import load_dmenet, load_dpdnet
from allfocus.checkpoints.release import release
from allfocus.cli.release import _calibrate, _write_baseline
from allfocus.errors import OptionError
from allfocus.train.config import NetConfig, TrainConfig
from allfocus.train.launch import open_fabric
from allfocus.train.provenance import Provenance
from allfocus.train.state import TrainState, load_averaged
from allfocus.train.tasks.registry import build, ifan_architecture
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


def test_a_run_is_scaled_with_what_it_is_averaged_with_and_a_model_is_not_scaled_again(tmp_path: Path) -> None:
    config = TrainConfig(net=NetConfig(width=4, iterations=2))
    fabric = open_fabric(config, "cpu")
    for seed, name in enumerate(("first", "second")):
        (tmp_path / name).mkdir()
        TrainState.start(replace(config, seed=seed), fabric).save(tmp_path / name)
    scaled = load_averaged(tmp_path / "second")[1]
    scaled.scale_residual(0.5)
    model = release(scaled, ifan_architecture(config), "tiny", tmp_path, context_px=16)
    nets = []
    for other in (tmp_path / "second", model.weights):
        nets.append(load_averaged(tmp_path / "first")[1])
        _calibrate(nets[-1], 0.5, [str(other)], 0.25)
    torch.testing.assert_close(nets[0].state_dict(), nets[1].state_dict(), rtol=1e-2, atol=2e-4)  # float16 on disk
    plain = load_averaged(tmp_path / "first")[1]
    _calibrate(plain, 1.0, [str(tmp_path / "second")], 0.25)
    photo = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(nets[0](photo).residual, 0.5 * plain(photo).residual, rtol=1e-4, atol=1e-6)
    wide = TrainConfig(net=NetConfig(width=8, iterations=2))
    other = release(build(wide).net, ifan_architecture(wide), "wide", tmp_path, context_px=16)
    with pytest.raises(OptionError, match="a different network"):
        _calibrate(plain, 1.0, [str(other.weights)], 0.25)
