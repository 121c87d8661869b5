"""Scores of a network while it trains: whole photos, the metrics of `allfocus eval`, on real pairs and on SynDP."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyvips
import torch

from allfocus.data.pairs import PairImages, PairSet
from allfocus.data.registry import load
from allfocus.data.syndp import STRATA
from allfocus.errors import WeightsError
from allfocus.metrics.lpips import LPIPS
from allfocus.metrics.psnr import psnr

if TYPE_CHECKING:
    from allfocus.train.state import TrainState

THINNED = 5
"""Of SynDP every fifth scene is scored, so that each kind and stratum is there."""
SHARP = "S0"


class Validation:
    """Whole photos of one set, scored by what the task calls a score; without LPIPS, that column is left out."""

    def __init__(self, pairs: PairSet, lpips: LPIPS | None = None, prefix: str = "") -> None:
        self.pairs, self.lpips, self.prefix = pairs, lpips, prefix

    @classmethod
    def open(cls, place: str, lpips: Path | None = None, limit: int | None = None) -> Validation:
        """A set by "DIR" (with source/ and target/) or "NAME:DIR" of `allfocus eval`; errors as `data.registry.load`.

        Without the files of LPIPS its column is left out; `limit` is the most scenes.
        """
        name, _, folder = place.rpartition(":")
        pairs = load(name or "pairs", Path(folder), "val" if name == "dpdd" else "test")
        if name == "syndp":
            pairs = replace(pairs, pairs=pairs.pairs[::THINNED])
        return cls(pairs if limit is None else pairs.first(limit), _lpips(lpips), f"{name}." if name else "")

    def __call__(self, state: TrainState) -> dict[str, float]:
        """Means over the scenes, and of each stratum the gain in PSNR over the input (its PSNR where all is sharp)."""
        rows: dict[str, list[float]] = defaultdict(list)
        with state.fabric.autocast():
            for scene in self.scenes():
                scores = state.task.score(state.averaged, scene, None if self.lpips is None else self._distance)
                for name, value in scores.items():
                    rows[name].append(value)
                for stratum in sorted(STRATA.keys() & set(scene.groups)):
                    if "psnr" in scores and stratum == SHARP:
                        rows[f"psnr_{stratum}"].append(scores["psnr"])
                    elif "psnr" in scores:
                        rows[f"gain_{stratum}"].append(scores["psnr"] - psnr(scene.source, scene.target))
        return {f"{self.prefix}{name}": float(np.mean(values)) for name, values in rows.items()}

    def _distance(self, first: np.ndarray, second: np.ndarray) -> float:
        """LPIPS in float32, whatever the network computes in."""
        assert self.lpips is not None
        with torch.autocast("cpu", enabled=False):
            return self.lpips(first, second)

    def scenes(self) -> Iterator[PairImages]:
        """The scenes one after another, read when it is their turn."""
        return (self.pairs.images(pair) for pair in self.pairs if pair.target is not None)


def all_scores(sets: Sequence[Validation], state: TrainState) -> dict[str, float]:
    """The scores on several sets, as one row."""
    return {name: value for one in sets for name, value in one(state).items()}


def read_photos(folder: Path, most: int) -> list[np.ndarray]:
    """The first photos of a folder by name: (H, W, 3) float32 in [0, 1]."""
    images = [pyvips.Image.new_from_file(str(path)) for path in sorted(folder.glob("*.*"))[:most]]
    return [image.colourspace("srgb")[:3].numpy().astype(np.float32) / 255 for image in images]


def _lpips(folder: Path | None) -> LPIPS | None:
    try:
        return None if folder is None else LPIPS(folder)
    except WeightsError:
        return None
