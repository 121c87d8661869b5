"""The gain of one model over another on the same held-out scenes, from results of `allfocus eval`."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

from allfocus.errors import DataError

METRICS = ("psnr", "psnr_fit", "psnr_aligned", "ssim", "lpips")
HINT = "allfocus eval MODEL OTHER --data dpdd --root PAIRS --split test -o RESULTS"


@dataclass(frozen=True)
class Gain:
    """Two models on one set.

    Attributes:
        set: the set's name.
        images: how many scenes.
        before, after: means by metric.
        error: by metric, the standard error of the mean gain over the scenes; empty for a single scene.
        better: scenes on which PSNR-fit rose.
    """

    set: str
    images: int
    before: dict[str, float]
    after: dict[str, float]
    error: dict[str, float]
    better: int

    def scores(self, before: str) -> dict[str, dict[str, float]]:
        """As a model's card holds them: both means and their difference, by a title that says of what."""
        title = f"{self.set}, {self.images} held-out scenes"
        difference = {f"{name}_gain": round(self.after[name] - self.before[name], 6) for name in self.after}
        error = {f"{name}_gain_error": round(value, 6) for name, value in self.error.items()}
        return {
            title: {**self.after, **difference, **error, "scenes_better": float(self.better)},
            f"{title}: {before}, before": dict(self.before),
        }


def gain(folder: Path, before: str, after: str) -> Gain:
    """Compare two methods in RESULTS/SET of `allfocus eval`, with `METHOD.json` and `METHOD.csv` of each.

    DataError: results that are missing, not finished, or of different scenes or protocols.
    """
    records = [_summary(folder / f"{name}.json") for name in (before, after)]
    rows = [_rows(folder / f"{name}.csv") for name in (before, after)]
    metrics = [record["protocol"]["metrics"] for record in records]
    if metrics[0] != metrics[1] or rows[0].keys() != rows[1].keys() or not rows[0]:
        raise DataError(f"{before} and {after} in {folder} have different scenes or protocols", "one run", HINT)
    means = [
        {name: float(record["scores"][name]) for name in METRICS if record["scores"].get(name) is not None}
        for record in records
    ]
    gains = {
        metric: [rows[1][scene][metric] - rows[0][scene][metric] for scene in rows[0]]
        for metric in means[0]
        if all(metric in values for side in rows for values in side.values())
    }
    error = {metric: stdev(one) / len(one) ** 0.5 for metric, one in gains.items()} if len(rows[0]) > 1 else {}
    better = sum(one > 0 for one in gains["psnr_fit"])
    return Gain(records[0]["set"], len(rows[0]), means[0], means[1], error, better)


def _summary(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = bool(record["complete"]) and bool(record["protocol"]) and bool(record["scores"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error})", "a summary written by `allfocus eval`", HINT) from error
    if not whole:
        raise DataError(f"{path} belongs to an interrupted run", "a finished one", "the same allfocus eval again")
    return record


def _rows(path: Path) -> dict[str, dict[str, float]]:
    """The metrics of each scene."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = {row["name"]: row for row in csv.DictReader(file)}
        return {
            scene: {"psnr_fit": float(row["psnr_fit"])}
            | {metric: float(row[metric]) for metric in METRICS if row.get(metric)}
            for scene, row in rows.items()
        }
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})", "scores written by `allfocus eval`", HINT) from error
