"""The loop: exact resume, skipped steps, averaged weights, what is refused before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric

from allfocus.data.cache import SampleCache
from allfocus.data.source import Batches
from allfocus.errors import DataError, OptionError, TrainingError
from allfocus.train.config import LossWeights, NetConfig, TrainConfig, load_config
from allfocus.train.loop import train, training_step
from allfocus.train.state import OPTIMISERS, TrainState, load_averaged
from allfocus.train.trained_on import TrainedOn
from train.conftest import write_cache

Open = Callable[[TrainConfig], Fabric]


def feed(state: TrainState, cache: SampleCache) -> Batches:
    config = state.config
    return Batches(cache, state.task.needs, config.batch, config.patch_at, config.augment, config.seed)


def steps(state: TrainState, cache: SampleCache, count: int) -> list[float]:
    batches = feed(state, cache).from_step(state.step, state.step + count)
    return [training_step(state, batch)["total"].item() for batch in batches]


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_killed_run_continues_with_the_same_losses(
    tmp_path: Path, cache: SampleCache, config: TrainConfig, fabric: Open, optimiser: str
) -> None:
    config = replace(config, optimiser=optimiser)  # type: ignore[arg-type]
    straight = TrainState.start(config, fabric(config))
    expected = steps(straight, cache, 6)

    killed = TrainState.start(config, fabric(config))
    steps(killed, cache, 3)
    killed.save(tmp_path)
    resumed = TrainState.resume_or_start(config, fabric(config), tmp_path)
    assert steps(resumed, cache, 3) == expected[3:]
    for ours, theirs in zip(resumed.averaged.parameters(), straight.averaged.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_the_reblurring_network_learns_at_its_own_rate(cache: SampleCache, config: TrainConfig, fabric: Open) -> None:
    loss = LossWeights(reblur=1.0, reblurring_iterations=2)
    state = TrainState.start(replace(config, loss=loss, reblurring_rate=0.0, weight_decay=0.0), fabric(config))
    before = {name: part.clone() for name, part in state.task.state_dict().items()}
    steps(state, cache, 1)
    moved = {name for name, part in state.task.state_dict().items() if not torch.equal(part, before[name])}
    assert moved
    assert not any(name.startswith("reblurring.") for name in moved)


def test_training_writes_losses_and_a_checkpoint_that_loads(
    tmp_path: Path, cache: SampleCache, config: TrainConfig, fabric: Open
) -> None:
    scores: list[int] = []

    def validate(_: TrainState) -> dict[str, float]:
        scores.append(1)
        return {"psnr": 1.0}

    lines: list[str] = []
    state = train(config, cache, tmp_path, fabric=fabric(config), validate=validate, board=True, report=lines.append)
    loaded, net, step = load_averaged(tmp_path)
    assert (loaded, step) == (config, config.steps)
    assert len(scores) == 1
    assert (tmp_path / "validation.csv").read_text().splitlines()[0] == "step,psnr"
    assert (tmp_path / "losses.csv").read_text().splitlines()[0] == "step,deblur,fourier,disparity,total"
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 7
    assert "left" in lines[0]
    assert any((tmp_path / "board").iterdir())
    assert load_config(tmp_path / "config.yaml") == config
    assert TrainedOn.read(tmp_path) == TrainedOn()  # the folder of photos that the cache names is not there
    for ours, theirs in zip(net.parameters(), state.averaged.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_lines_that_a_killed_run_wrote_after_its_checkpoint_are_written_once(
    tmp_path: Path, cache: SampleCache, config: TrainConfig, fabric: Open
) -> None:
    train(config, cache, tmp_path / "straight", fabric=fabric(config), report=lambda _: None)
    run = tmp_path / "killed"
    train(config, cache, run, fabric=fabric(config), stop_at=3, report=lambda _: None)
    with (run / "losses.csv").open("a") as file:
        file.write("4,9,9,9,9\n5,9,9,9,9\n")
    train(config, cache, run, fabric=fabric(config), report=lambda _: None)
    assert (run / "losses.csv").read_text() == (tmp_path / "straight" / "losses.csv").read_text()


def test_another_configuration_does_not_resume(tmp_path: Path, config: TrainConfig, fabric: Open) -> None:
    TrainState.start(config, fabric(config)).save(tmp_path)
    with pytest.raises(DataError, match="other values of steps, loss"):
        other = replace(config, steps=7, loss=LossWeights(fourier=0))
        TrainState.resume_or_start(other, fabric(other), tmp_path)


def test_a_run_starts_from_the_averaged_weights_of_another(tmp_path: Path, config: TrainConfig, fabric: Open) -> None:
    small = replace(config, net=NetConfig())
    first = TrainState.start(small, fabric(small))
    first.step = 5
    first.save(tmp_path)
    loaded, net, step = load_averaged(tmp_path)
    assert (loaded, step) == (small, 5)
    new = TrainState.start(replace(small, seed=3, start_from=str(tmp_path)), fabric(small))
    for ours, theirs in zip(new.task.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    other = replace(small, seed=7)
    (tmp_path / "other").mkdir()
    TrainState.start(other, fabric(other)).save(tmp_path / "other")
    two = load_averaged(tmp_path / "other")[1]
    several = replace(small, seed=3, start_from=[str(tmp_path), str(tmp_path), str(tmp_path / "other")])
    mean = TrainState.start(several, fabric(several)).task.net
    for ours, one, another in zip(mean.parameters(), net.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(ours, (2 * one + another) / 3)
    with pytest.raises(OptionError, match="a different network"):
        TrainState.start(replace(config, start_from=str(tmp_path)), fabric(config))


def test_a_step_that_overflows_leaves_the_weights_alone(cache: SampleCache, config: TrainConfig, fabric: Open) -> None:
    config = replace(config, net=NetConfig(width=4))
    state = TrainState.start(config, fabric(config))
    bias = state.task.net.filter_head.project.bias
    with torch.no_grad():
        bias.fill_(1e9)  # filters of 1e9, 34 passes in a row
    before = [parameter.clone() for parameter in state.task.net.parameters()]
    steps(state, cache, 1)
    assert (state.step, state.skipped) == (1, 1)
    for now, then in zip(state.task.net.parameters(), before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)
    with pytest.raises(TrainingError, match="20 steps in a row without finite gradients"):
        for _ in range(19):
            state.advance(skipped=True)


def test_bfloat16_computes_in_half_precision_but_sees_whole_pictures(
    cache: SampleCache, config: TrainConfig, fabric: Open
) -> None:
    half = replace(config, precision="bf16-mixed")
    first = steps(TrainState.start(half, fabric(half)), cache, 1)[0]
    exact = steps(TrainState.start(config, fabric(config)), cache, 1)[0]
    assert first == pytest.approx(exact, rel=1e-2)
    assert first != exact


def test_samples_that_lack_what_the_losses_need_are_refused(tmp_path: Path, config: TrainConfig, fabric: Open) -> None:
    blind = write_cache(tmp_path / "blind", views=False)
    views = replace(config, loss=LossWeights(warp=1.0))
    with pytest.raises(DataError, match=r"blind without left and right.*allfocus prepare --views"):
        train(views, blind, tmp_path / "run", fabric=fabric(views))
    large = replace(config, patch_px=128)
    with pytest.raises(DataError, match=r"samples of 64 px in .*blind; expected at least 128 px"):
        train(large, blind, tmp_path / "run", fabric=fabric(large))


def test_some_samples_are_first_worked_on_at_half_size(cache: SampleCache, config: TrainConfig, fabric: Open) -> None:
    from allfocus.train.coarse import work_coarsely

    always = replace(config, coarse_chance=1.0, residual_gain=1.0)
    state = TrainState.start(always, fabric(always))
    sharp = next(feed(state, cache).from_step(0, 1))
    assert torch.equal(
        work_coarsely(sharp, state, range(2)).centre, sharp.centre
    )  # nothing to do where nothing is blurred
    blurred = torch.nn.functional.interpolate(sharp.centre[..., ::8, ::8], scale_factor=8, mode="bilinear")
    batch = sharp._replace(centre=blurred)
    worked = work_coarsely(batch, state, range(2))
    assert not torch.equal(worked.centre, batch.centre)
    assert torch.equal(worked.sharp, batch.sharp)
    assert worked.centre.min() >= 0
    assert worked.centre.max() <= 1
    never = replace(state, config=config)
    assert work_coarsely(batch, never, range(2)) is batch
