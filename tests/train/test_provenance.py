"""What made shipped weights: there for each, made of commands that exist, and replayed from samples to a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import pyvips
import yaml

from allfocus.cli.main import main
from allfocus.errors import OptionError, TrainingError
from allfocus.train.config import TrainConfig, load_config
from allfocus.train.provenance import SUFFIX, Command, Provenance, replay
from allfocus.weights.card import Card
from allfocus.weights.store import SHIPPED

TINY = {
    "architecture": "ifan-fast", "net": {"width": 4, "iterations": 2}, "steps": 4, "batch": 2, "patch_px": 32,
    "precision": "32-true", "threads": 1, "warmup": 1,
}  # fmt: skip


def carry_out(words: Sequence[str]) -> int:
    """A command in this process."""
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(end.value.code or 0)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A child of a parent, two tiny stages in all, as files."""
    simulator = {"margin_px": 16, "scene": {"radius_px": [1.0, 4.0]}}
    samples = {"a": {"count": 2, "side_px": 64, "simulator": simulator}}
    first = {"number": 1, "samples": ["a"], "stop_at": 1, "settings": TINY}
    (tmp_path / f"one{SUFFIX}").write_text(yaml.safe_dump({"samples": samples, "stages": [first]}))
    second = {"number": 1, "samples": ["a"], "settings": {**TINY, "steps": 2}, "why": "more steps"}
    child = {"parent": "one", "stages": [second], "gain": 0.5, "known_failures": ["It is tiny."]}
    path = tmp_path / f"two{SUFFIX}"
    path.write_text(yaml.safe_dump(child))
    return path


@pytest.mark.parametrize("card", sorted(SHIPPED.rglob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_model_has_a_provenance_that_adds_up(card: Path) -> None:
    found, told = Provenance.read(card.stem), Card.read(card)
    steps, seen = 0, found
    while seen is not None:
        stages, number = {stage.number: stage for stage in seen.stages}, seen.stages[-1].number
        while number:  # back to where these weights started; other stages are branches
            steps += stages[number].stop_at or TrainConfig.from_dict(stages[number].settings).steps
            number = stages[number].starts[0] if stages[number].starts else number - 1
        seen = seen.parent
    assert steps == told.steps
    assert found.stages[-1].settings["seed"] == told.seed
    assert [stage.number for stage in found.stages] == list(range(1, len(found.stages) + 1))
    assert found.known_failures == told.known_failures


def test_the_commands_are_in_order_and_render_no_samples_twice(written: Path) -> None:
    commands = Provenance.read(written).commands(Path("PHOTOS"), Path("OUT"), ["--workers", "1"], Path("BLURRED"))
    assert [command.words[0] for command in commands] == ["prepare", "train", "train", "release"]
    assert (
        commands[1].line
        == "allfocus train -o OUT/one/1 --config OUT/one/1.yaml --cache OUT/samples/a --stop-at 1 --workers 1"
    )
    assert "--start-from OUT/one/1" in commands[2].line
    assert commands[2].why == "more steps"
    assert yaml.safe_load(commands[2].files[Path("OUT/two/1.yaml")])["steps"] == 2


def test_the_settings_of_a_stage_survive_their_file(tmp_path: Path) -> None:
    found = Provenance.read("ifan-fast")
    for command in found.commands(Path("PHOTOS"), tmp_path):
        for path, text in command.files.items():
            if path.suffix == ".yaml":
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
                assert load_config(path) == TrainConfig.from_dict(found.stages[int(path.stem) - 1].settings)


def test_the_last_stage_is_averaged_with_earlier_ones(written: Path) -> None:
    told = yaml.safe_load(written.read_text())
    told["stages"] += [{**told["stages"][0], "number": 2}, {**told["stages"][0], "number": 3, "after": 1}]
    written.write_text(yaml.safe_dump({**told, "average_with": [1, 2], "share": 0.25}))
    *_, second, third, release = Provenance.read(written).commands(Path("PHOTOS"), Path("OUT"), reach=Path("BLURRED"))
    assert release.line.startswith("allfocus release OUT/two/3 ")
    assert "--average-with OUT/two/1 --average-with OUT/two/2 --share 0.25" in release.line
    assert "--start-from OUT/two/1" in second.line
    assert "--start-from OUT/two/1" in third.line
    written.write_text(yaml.safe_dump({**told, "average_with": [3]}))
    with pytest.raises(OptionError, match=r"average_with \[3\]; expected some of \[1, 2\]"):
        Provenance.read(written)
    told["stages"][2]["after"] = [2, 1, 1]
    written.write_text(yaml.safe_dump(told))
    line = Provenance.read(written).commands(Path("PHOTOS"), Path("OUT"))[-1].line
    assert "--start-from OUT/two/2 --start-from OUT/two/1 --start-from OUT/two/1" in line
    told["stages"][1]["after"] = 3
    written.write_text(yaml.safe_dump(told))
    with pytest.raises(OptionError, match=r"after 3; expected one of \[1\]"):
        Provenance.read(written)


@pytest.mark.slow
def test_a_replay_goes_from_photos_to_a_released_model(written: Path, tmp_path: Path) -> None:
    photos, pairs = tmp_path / "photos", tmp_path / "pairs" / "source"
    rng = np.random.default_rng(0)
    for folder, side in ((photos, 128), (pairs, 512)):
        folder.mkdir(parents=True)
        pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        pyvips.Image.new_from_array(pixels).write_to_file(str(folder / "a.png"))
    commands = Provenance.read(written).commands(photos, tmp_path / "out", reach=pairs)
    replay(commands, carry_out)
    card = json.loads((tmp_path / "out" / "models" / "two.json").read_text())
    assert (card["steps"], card["known_failures"]) == (3, ["It is tiny."])
    assert card["command"] == "allfocus train --provenance two"


def test_a_replay_ends_where_a_command_fails() -> None:
    done: list[str] = []

    def run(words: Sequence[str]) -> int:
        done.append(words[0])
        return 3 if words[0] == "b" else 0

    with pytest.raises(TrainingError, match="step 2 exited with 3: allfocus b"):
        replay([Command((name,)) for name in "abc"], run)
    assert done == ["a", "b"]


def test_what_is_no_provenance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no provenance of nafnet; expected one of .*ifan-fast"):
        Provenance.read("nafnet")
    path = tmp_path / f"odd{SUFFIX}"
    for text in ("[]", "stages: [{number: 1}]", "stages: [{number: 1, settings: {}, samples: []}]\ncolour: red"):
        path.write_text(text)
        with pytest.raises(OptionError, match="samples; stages with number"):
            Provenance.read(path)
    path.write_text("stages: [{number: 1, settings: {}, samples: [a]}]")
    with pytest.raises(OptionError, match=r"stage 1 uses \['a'\]"):
        Provenance.read(path)


def test_the_command_prints_stages_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(("train", "--provenance", "ifan", "--dry-run")) == 0
    told = capsys.readouterr().out
    assert "1. allfocus prepare --photos PHOTOS -o OUTPUT/samples/a --count 3584" in told
    assert "--start-from OUTPUT/ifan-fast-wide/6" in told
    assert "All samples, without views." in told
    assert "allfocus release OUTPUT/ifan/2 --name ifan" in told
    assert carry_out(("train", "--provenance", "ifan")) == 2
    assert "no pairs to measure the network's reach on" in capsys.readouterr().err
