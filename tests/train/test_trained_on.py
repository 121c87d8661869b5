"""What weights have seen: by group and licence, through every run that they went through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from allfocus.data.source import Origin, Source
from allfocus.train.config import TrainConfig
from allfocus.train.loop import train
from allfocus.train.trained_on import TrainedOn, training_data
from allfocus.weights.card import TrainingData
from allfocus.weights.store import find
from train.conftest import write_cache


def _silent(_: str) -> None:
    """Instead of printing."""


def photos(origin: Origin) -> Source:
    """A source of which only the origin matters."""
    return cast(Source, SimpleNamespace(origin=origin))


def test_groups_and_licences_come_from_the_manifest(tmp_path: Path) -> None:
    rows = ["file,group,licence", "a.png,birds,CC0", "b.png,birds,CC0", "c.png,rivers,CC-BY-4.0"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    assert training_data(tmp_path, ["b.png"]) == (
        TrainingData("birds", "CC0", 1),
        TrainingData("rivers", "CC-BY-4.0", 1),
    )


def test_a_run_that_starts_from_another_has_seen_what_that_one_saw(tmp_path: Path, config: TrainConfig) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, count in ((first, 2), (second, 3)):
        folder.mkdir()
        for index in range(count):
            (folder / f"{index}.png").touch()
    seen = TrainedOn.of(photos(Origin(first, simulator={"crop_px": 64})), ())
    run = tmp_path / "run"
    run.mkdir()
    seen.write(run)
    assert TrainedOn.read(run) == seen
    done = train(replace(config, steps=2), write_cache(tmp_path / "samples"), tmp_path / "two steps", report=_silent)
    done.save(run)
    later = TrainedOn.of(photos(Origin(second, group="mine")), (str(run),))
    assert [(one.group, one.pictures) for one in later.trained_on] == [("first", 2), ("mine", 3)]
    again = TrainedOn.of(photos(Origin(first)), (str(run),))
    assert again.trained_on == seen.trained_on
    assert TrainedOn.read(first) is None
    shipped = TrainedOn.of(photos(Origin(second)), ("ifan-fast",))
    assert (seen.steps_before, later.steps_before, shipped.steps_before) == (0, 2, find("ifan-fast").card.steps)
    assert shipped.trained_on[-1] == TrainingData("second", "not stated", 3)
    assert len(shipped.trained_on) > 1
