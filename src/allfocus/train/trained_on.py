"""What a run was trained on, by group and licence, for the card of its weights."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from allfocus.atomic_file import write_json
from allfocus.data.source import Source
from allfocus.train.state import load_averaged
from allfocus.weights import store
from allfocus.weights.card import TrainingData

UNKNOWN = "not stated"
FILE = "trained_on.json"


@dataclass(frozen=True)
class TrainedOn:
    """What the weights of a run have seen, and the steps of the runs or of the model that it started from."""

    trained_on: tuple[TrainingData, ...] = ()
    simulator: Mapping[str, Any] = field(default_factory=dict)
    steps_before: int = 0

    @classmethod
    def of(cls, source: Source, starts: Sequence[str]) -> TrainedOn:
        """Of a run on a source that starts from other runs or models, or from nothing; the steps are the first's."""
        origin = source.origin
        own = training_data(origin.photos, origin.left_out, origin.group) if origin.photos.is_dir() else ()
        before = [cls.before(first) for first in starts]
        seen = [one for each in before for one in each.trained_on]
        return cls(_united([*seen, *own]), origin.simulator, before[0].steps_before if before else 0)

    @classmethod
    def before(cls, first: str) -> TrainedOn:
        """What the start of a run has seen, its steps done: another run's folder, or a model by its name or file."""
        if not Path(first).is_dir():
            card = store.find(first).card
            return cls(card.trained_on, card.simulator, card.steps)
        seen = cls.read(Path(first)) or cls()
        return replace(seen, steps_before=seen.steps_before + load_averaged(Path(first))[2])

    @classmethod
    def read(cls, folder: Path) -> TrainedOn | None:
        """Of the run in a folder; None where it is not noted."""
        path = folder / FILE
        if not path.is_file():
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        groups = tuple(TrainingData(**one) for one in stored["trained_on"])
        return cls(groups, stored["simulator"], stored["steps_before"])

    def write(self, folder: Path) -> None:
        """Note it in the folder of a run."""
        write_json(folder / FILE, asdict(self))


def training_data(folder: Path, left_out: Collection[str] = (), name: str = "") -> tuple[TrainingData, ...]:
    """Count the pictures of a folder by group and licence.

    Args:
        folder: sharp photos, with or without a ``manifest.csv`` that has the columns file, group and licence.
        left_out: names that were not used.
        name: of the only group, where there is no manifest; the folder's if empty.

    Returns:
        One entry per group; a single one with an unknown licence where there is no manifest.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        count = sum(1 for path in folder.iterdir() if path.is_file() and path.name not in set(left_out))
        return (TrainingData(name or folder.name, UNKNOWN, count),)
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] not in set(left_out)]
    counts = Counter((row["group"], row["licence"]) for row in rows)
    return tuple(TrainingData(group, licence, count) for (group, licence), count in sorted(counts.items()))


def _united(groups: Iterable[TrainingData]) -> tuple[TrainingData, ...]:
    """Groups by name and licence; of two that agree in both, the one with more pictures."""
    found: dict[tuple[str, str], TrainingData] = {}
    for one in groups:
        known = found.get((one.group, one.licence))
        if known is None or known.pictures < one.pictures:
            found[one.group, one.licence] = one
    return tuple(found.values())
