"""What a run was trained on, by group and licence, for the card of its weights."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from allfocus.data.source import Source
from allfocus.weights import store
from allfocus.weights.card import TrainingData

UNKNOWN = "not stated"
FILE = "trained_on.json"


@dataclass(frozen=True)
class Provenance:
    """What the weights of a run have seen.

    Attributes:
        trained_on: groups of pictures, those of the run that it started from included.
        simulator: settings of the simulator that made the samples; empty for photographed pairs.
    """

    trained_on: tuple[TrainingData, ...] = ()
    simulator: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source, first: str | None) -> Provenance:
        """Of a run on a source that starts from another run, from a model, or from nothing."""
        origin = source.origin
        own = training_data(origin.photos, origin.left_out, origin.group) if origin.photos.is_dir() else ()
        return cls(_united([*(() if first is None else cls.before(first).trained_on), *own]), origin.simulator)

    @classmethod
    def before(cls, first: str) -> Provenance:
        """What the start of a run has seen: another run's folder, or a model by its name or file."""
        if not Path(first).is_dir():
            return cls(store.find(first).card.trained_on)
        return cls.read(Path(first)) or cls()

    @classmethod
    def read(cls, folder: Path) -> Provenance | None:
        """Of the run in a folder; None where an older allfocus did not note it."""
        path = folder / FILE
        if not path.is_file():
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(tuple(TrainingData(**one) for one in stored["trained_on"]), stored["simulator"])

    def write(self, folder: Path) -> None:
        """Note it in the folder of a run."""
        stored = {"trained_on": [asdict(one) for one in self.trained_on], "simulator": dict(self.simulator)}
        (folder / FILE).write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def training_data(folder: Path, left_out: Collection[str] = (), name: str = "") -> tuple[TrainingData, ...]:
    """Count the pictures of a folder by group and licence.

    Args:
        folder: sharp photos, with or without a ``manifest.csv`` that has the columns file, group and licence.
        left_out: names that were not used.
        name: of the only group, where there is no manifest; the folder's if empty.

    Returns:
        One entry a group; a single one with an unknown licence where there is no manifest.
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
