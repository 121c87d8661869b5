"""`allfocus train` and `allfocus release`: settings shown, places refused in one line, a baseline released."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from allfocus.checkpoints.baseline import load_dpdnet
from allfocus.cli.main import main
from allfocus.train.config import TrainConfig, load_config
from allfocus.train.recipes import recipe
from train.conftest import write_cache


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["train", *arguments])
    return int(end.value.code or 0)


def test_settings_are_shown_as_yaml_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--recipe", "ifan-fast", "--set", "loss.warp=0.5", "--steps", "7", "--show") == 0
    shown = tmp_path / "shown.yaml"
    shown.write_text(capsys.readouterr().out)
    loaded = load_config(shown)
    assert (loaded.steps, loaded.loss.warp, loaded.learning_rate) == (7, 0.5, recipe("ifan-fast").learning_rate)
    assert isinstance(loaded, TrainConfig)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ((), "no folder for the run"),
        (("-o", "RUN"), "no samples, or samples from several places; expected one of --cache DIR"),
        (("-o", "RUN", "--cache", "RUN"), "has no cache.json"),
        (("-o", "RUN", "--data", "dpdd:RUN"), "the layout of DPDD"),
        (("-o", "RUN", "--recipe", "none"), "no recipe is called 'none'"),
        (("-o", "RUN", "--cache", "RUN", "--set", "precision=16-mixed", "--accelerator", "cpu"), "16-mixed on a CPU"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    line: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*(part.replace("RUN", str(tmp_path / "run")) for part in line)) == 2
    assert told in capsys.readouterr().err


def test_caches_that_are_given_together_are_mixed(tmp_path: Path) -> None:
    folders = [str(write_cache(tmp_path / name, views=False).folder) for name in ("a", "b")]
    line = ("--recipe", "smoke", "--cache", folders[0], "--cache", folders[1], "-o", str(tmp_path / "run"))
    assert run(*line, "--steps", "1", "--set", "patch_px=32", "--set", "threads=1", "--accelerator", "cpu") == 0
    assert set(json.loads((tmp_path / "run" / "trained_on.json").read_text())["simulator"]) == {"a", "b"}


def test_a_small_dpdnet_is_trained_and_released_with_its_card(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache")
    settings = ("net.width=4", "steps=2", "batch=2", "patch_px=32", "threads=1")
    changes = [part for one in settings for part in ("--set", one)]
    run_folder = tmp_path / "run"
    line = ("--recipe", "dpdnet-d", "--cache", str(cache.folder), "-o", str(run_folder), "--accelerator", "cpu")
    assert run(*line, *changes) == 0
    with pytest.raises(SystemExit) as end:
        main(["release", str(run_folder), "--name", "dpdnet-d-mine", "-o", str(tmp_path / "models")])
    assert not end.value.code
    assert load_dpdnet(tmp_path / "models" / "dpdnet-d-mine.safetensors", views=2).sizes.width == 4
    card = json.loads((tmp_path / "models" / "dpdnet-d-mine.json").read_text())
    assert (card["steps"], card["name"]) == (2, "dpdnet-d-mine")
