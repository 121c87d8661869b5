"""What does a photo of a batch take beside the network, with compiled loops over pixels and with numpy?

    python benchmarks/batch_pixels.py --data ../shared/data

Writes the part `pixels` of results/batch.json: processor milliseconds a megapixel, means over JPEGs of 12 megapixels,
in an engine's stead something that answers at once. Only one of the cores is used.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from allfocus import compiled
from allfocus.batch.streams import keep_memory
from allfocus.engine.base import EngineInfo, Estimate
from allfocus.photo.codecs import decode, encode
from allfocus.restore import Settings, finish, restore
from allfocus.weights.store import find
from batch_photos import DATA, mosaics
from batch_record import arguments, record

SIZE = (4240, 2832)
LARGEST_PX = 2200  # side of a tile, at most


class Canned:
    """Answers with noise of the size of usual corrections; its own time is counted apart."""

    redone = 0
    info = EngineInfo("canned", "CPU", "float32", "none")

    def __init__(self) -> None:
        noise = np.random.default_rng(0).standard_normal((1, 3, LARGEST_PX, LARGEST_PX), dtype=np.float32)
        self.noise, self.seconds = noise * np.float32(0.01), 0.0

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`."""
        began = time.thread_time()
        residual = self.noise[..., : batch.shape[2], : batch.shape[3]].copy()
        self.seconds += time.thread_time() - began
        return Estimate(residual, None)


def pixels(data: Path, count: int, rounds: int, share: float) -> dict[str, Any]:
    """Reading, restoring and writing, both ways in turn."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    keep_memory()
    ways = {"compiled": compiled.AVAILABLE, "numpy": False}
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as scratch:
        folder = mosaics(data, Path(scratch) / "in", (".jpg",), (SIZE,) * count, share=share)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        for turn in range(rounds + 1):
            for way, available in ways.items():
                with patch.object(compiled, "AVAILABLE", available):
                    found = once(paths, Path(scratch) / "out.jpg")
                if turn:  # the first one warms up
                    taken[way].append(found)
    told = {
        way: {name: round(statistics.median(one[name] for one in all_of_it), 2) for name in all_of_it[0]}
        for way, all_of_it in taken.items()
    }
    return {"photos": count, "megapixels_each": round(SIZE[0] * SIZE[1] * share**2 / 1e6, 2), "rounds": rounds,
            "compiled_loops": compiled.AVAILABLE, "cpu_ms_per_megapixel": told}  # fmt: skip


def once(paths: list[Path], output: Path) -> dict[str, float]:
    """Processor milliseconds a megapixel of each step."""
    card, engine, megapixels = find("ifan-fast").card, Canned(), 0.0
    spent = {"decode": 0.0, "restore": 0.0, "encode": 0.0}

    @contextmanager
    def counted(step: str) -> Iterator[None]:
        began, apart = time.process_time(), engine.seconds
        yield
        spent[step] += time.process_time() - began - (engine.seconds - apart)

    for path in paths:
        with counted("decode"):
            photo = decode(path)
        megapixels += photo.width * photo.height / 1e6
        with counted("restore"):
            canvas = finish(restore(photo, engine, card, Settings())).canvas
        with canvas, counted("encode"):
            encode(photo, canvas, output)
        output.unlink()
    each = {step: 1e3 * seconds / megapixels for step, seconds in spent.items()}
    return {**each, "together": sum(each.values())}


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--count", type=int, default=3, help="photos")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="of the photos' sides, for a trial")
    chosen = parser.parse_args()
    record("pixels", partial(pixels, chosen.data, chosen.count, chosen.rounds, chosen.share), chosen.output)


if __name__ == "__main__":
    main()
