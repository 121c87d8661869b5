"""Settings: typed, complete, changed one by one; schedules that are what they say; recipes that survive YAML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from allfocus.errors import OptionError
from allfocus.train.config import TrainConfig, as_yaml, load_config
from allfocus.train.recipes import RECIPES, recipe


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    config = TrainConfig(steps=1000, warmup=100, learning_rate=1.0)
    assert config.rate_at(0) == pytest.approx(0.01)
    assert config.rate_at(99) == pytest.approx(1.0)
    assert config.rate_at(550) == pytest.approx(0.505, abs=1e-3)
    assert config.rate_at(1000) == pytest.approx(0.01)


def test_the_paper_halves_its_rate_twice() -> None:
    config = recipe("ifan-paper")
    rates = [config.rate_at(step) for step in (0, 499_999, 500_000, 549_999, 550_000, 599_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 2.5e-5])


def test_crops_grow_in_equal_shares_of_the_run() -> None:
    config = TrainConfig(steps=10, patch_px=[64, 128])
    assert [config.patch_at(step) for step in (0, 4, 5, 9, 10)] == [64, 64, 128, 128, 128]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_the_yaml_that_shows_them(name: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(as_yaml(recipe(name)))
    assert load_config(path) == recipe(name) == TrainConfig.from_dict(recipe(name).to_dict())


def test_a_file_and_single_changes_lie_on_top_of_a_recipe(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("loss: {warp: 0.5}\nsteps: 7\n")
    base = recipe("ifan-fast")
    config = load_config(file, ["net.width=8", "patch_px=[64,96]", "loss.fourier=0"], base)
    assert config == replace(
        base,
        steps=7,
        patch_px=[64, 96],
        net=replace(base.net, width=8),
        loss=replace(base.loss, warp=0.5, fourier=0.0),
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("loss.wrap=1", "loss.wrap"),
        ("steps=many", "'steps'|\"steps\""),
        ("loss.distance=l1", "charbonnier"),
        ("patch_px=100", "crops of 100 px; expected multiples of 16"),
        ("steps", "expected NAME=VALUE"),
        ("augment.reduce_to=[0.9,0.5]", "two sizes"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        load_config(None, [change])


def test_a_recipe_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(OptionError, match="no recipe is called 'fast'; expected one of ifan-paper"):
        recipe("fast")
