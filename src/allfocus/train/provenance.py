"""What a run was trained on, by group and licence, for the card of its weights."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from allfocus.weights.card import TrainingData

UNKNOWN = "not stated"


def training_data(folder: Path, left_out: Collection[str] = ()) -> tuple[TrainingData, ...]:
    """Count the pictures of a folder by group and licence.

    Args:
        folder: sharp photos, with or without a ``manifest.csv`` that has the columns file, group and licence.
        left_out: names that were not used.

    Returns:
        One entry a group; a single one with an unknown licence where there is no manifest.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        count = sum(1 for path in folder.iterdir() if path.is_file() and path.name not in set(left_out))
        return (TrainingData(folder.name, UNKNOWN, count),)
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] not in set(left_out)]
    counts = Counter((row["group"], row["licence"]) for row in rows)
    return tuple(TrainingData(group, licence, count) for (group, licence), count in sorted(counts.items()))
