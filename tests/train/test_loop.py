"""The loop: exact resume, skipped steps, a schedule that is what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from allfocus.data.cache import SampleCache
from allfocus.errors import DataError, TrainingError
from allfocus.train.config import LossWeights, TrainConfig, load_config
from allfocus.train.loop import learning_rate, train, training_step
from allfocus.train.state import TrainState, load_averaged


def test_a_killed_run_continues_with_the_same_losses(tmp_path: Path, cache: SampleCache, config: TrainConfig) -> None:
    straight = TrainState.start(config)
    expected = [training_step(straight, cache)["total"] for _ in range(config.steps)]

    killed = TrainState.start(config)
    for _ in range(3):
        training_step(killed, cache)
    killed.save(tmp_path)
    resumed = TrainState.resume_or_start(config, tmp_path)
    assert [training_step(resumed, cache)["total"] for _ in range(3)] == expected[3:]
    for ours, theirs in zip(resumed.averaged.parameters(), straight.averaged.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_training_writes_losses_and_a_checkpoint_that_loads(
    tmp_path: Path, cache: SampleCache, config: TrainConfig
) -> None:
    scores: list[int] = []
    state = train(config, cache, tmp_path, validate=lambda _: scores.append(1) or {"psnr": 1.0}, report=lambda _: None)
    loaded, net, step = load_averaged(tmp_path)
    assert (loaded, step) == (config, config.steps)
    assert len(scores) == 1
    assert (tmp_path / "validation.csv").read_text().splitlines()[0] == "step,psnr"
    for ours, theirs in zip(net.parameters(), state.averaged.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_another_configuration_does_not_resume(tmp_path: Path, config: TrainConfig) -> None:
    TrainState.start(config).save(tmp_path)
    with pytest.raises(DataError, match="other values of steps, loss"):
        TrainState.resume_or_start(replace(config, steps=7, loss=LossWeights(fourier=0)), tmp_path)


def test_a_step_that_overflows_leaves_the_weights_alone(cache: SampleCache, config: TrainConfig) -> None:
    state = TrainState.start(config)
    bias = state.net.filter_head.project.bias
    assert bias is not None
    with torch.no_grad():
        bias.fill_(1e9)  # filters of 1e9, 34 passes in a row
    before = [parameter.clone() for parameter in state.net.parameters()]
    training_step(state, cache)
    assert (state.step, state.skipped) == (1, 1)
    for now, then in zip(state.net.parameters(), before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)
    with pytest.raises(TrainingError, match="20 steps in a row without finite gradients"):
        for _ in range(19):
            state.advance(skipped=True)


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    config = TrainConfig(steps=1000, warmup=100, learning_rate=1.0)
    assert learning_rate(config, 0) == pytest.approx(0.01)
    assert learning_rate(config, 99) == pytest.approx(1.0)
    assert learning_rate(config, 550) == pytest.approx(0.505, abs=1e-3)
    assert learning_rate(config, 1000) == pytest.approx(0.01)


def test_shipped_recipes_load(repository: Path) -> None:
    for path in sorted((repository / "recipes").glob("*.json")):
        assert load_config(path).steps > 0
