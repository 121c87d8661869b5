"""Batches on a stand-in network: photos, tasks, and what came out."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyvips

from allfocus.batch.entries import PhotoTask
from allfocus.batch.store import Store
from allfocus.batch.survey import Asked, tasks
from allfocus.batch.work import Order
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import Estimate
from allfocus.ledger import NAME as LEDGER
from engines import LocalEngine, card

WEIGHTS = "0" * 64


def stand_in(engine: Any = None) -> Deblurrer:
    """A `Deblurrer` on a local engine."""
    ready = Deblurrer.__new__(Deblurrer)
    ready.model = cast(Any, SimpleNamespace(card=card()))
    ready.engine = engine or LocalEngine()
    return ready


class StandInOrder(Order):
    """An order whose deblurrer is the stand-in, in whichever process; `seconds` of sleep go before each tile."""

    seconds = 0.0

    def deblurrer(self, threads: int | None = None) -> Deblurrer:
        """A `Deblurrer` on a local engine."""
        return stand_in(Slow(self.seconds))


class Slow(LocalEngine):
    """A local engine that takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """Sleep, then the box-mean residual."""
        time.sleep(self.seconds)
        return super().run(batch, pair)


class SlowOrder(StandInOrder):
    """Every tile takes long enough to be killed in."""

    seconds = 0.5


def write_photo(path: Path, width: int = 48, height: int = 40, seed: int = 0) -> Path:
    """Soft noise, which the pipeline takes for defocus, in the format that the name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pyvips.Image.new_from_array(pixels).gaussblur(2).linear(6, -640).cast("uchar").write_to_file(str(path))
    return path


def tasks_in(place: Path, *, compare: bool = False) -> list[PhotoTask]:
    """Every photo below a folder, as the command plans them."""
    asked = []
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        name = path.relative_to(place)
        picture = str(name.with_name(f"{path.stem}.compare.jpg")) if compare else None
        asked.append(Asked(str(path), str(name), comparison=picture))
    return list(tasks(asked, Store()))


def contents(place: Path) -> dict[str, bytes]:
    """Name -> bytes of every file below a folder but the journal and the list of results."""
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and "allfocus-journal" not in path.name and path.name != LEDGER
    }
