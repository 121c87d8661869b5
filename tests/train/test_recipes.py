"""Every recipe is built and takes two steps: shrunk in the quick test, at its own size in the slow one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lightning.fabric import Fabric

from allfocus.data.cache import SampleCache
from allfocus.train.config import TrainConfig
from allfocus.train.loop import train
from allfocus.train.recipes import RECIPES, recipe

Open = Callable[[TrainConfig], Fabric]


def two_steps(config: TrainConfig, cache: SampleCache, folder: Path, fabric: Open) -> None:
    config = replace(config, steps=2, threads=1, log_every=1)
    state = train(config, cache, folder, fabric=fabric(config), report=lambda _: None)
    assert (state.step, state.skipped) == (2, 0)
    header, *rows = (folder / "losses.csv").read_text().splitlines()
    expected = {"map", "auxiliary"} if config.architecture == "dmenet" else {"deblur"}
    expected |= {name for name in ("fourier", "disparity", "warp", "reblur") if config.loss.weight(name)}
    assert set(header.split(",")) == {"step", "total", *expected}
    assert len(rows) == 2


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_two_steps(name: str, tmp_path: Path, cache: SampleCache, fabric: Open) -> None:
    config = recipe(name)
    small = replace(config.net, width=4)
    if config.architecture.startswith(("ifan", "ablation")):
        small = replace(small, iterations=2)
    loss = replace(config.loss, reblurring_iterations=2)
    config = replace(config, start_from=None, net=small, loss=loss, batch=2, patch_px=32)
    two_steps(config, cache, tmp_path / "run", fabric)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_two_steps_at_its_own_size(
    name: str, tmp_path: Path, cache: SampleCache, fabric: Open
) -> None:
    two_steps(replace(recipe(name), batch=1, patch_px=64), cache, tmp_path / "run", fabric)
