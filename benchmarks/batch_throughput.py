"""How much of its engine's speed does a batch keep, and how well does it foretell its end?

    python benchmarks/batch_throughput.py --data ../shared/data

Writes the part `throughput` of results/batch.json. Needs an idle machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from allfocus.allocator import keep_freed_memory
from allfocus.batch.journal import Journal
from allfocus.batch.local import LocalRun
from allfocus.batch.store import Store
from allfocus.batch.survey import Asked, tasks
from allfocus.batch.work import Order
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import Engine, Estimate, FittingEngine
from allfocus.photo.codecs import decode, encode
from allfocus.restore import Settings, finish, restore
from batch_photos import DATA, mosaics
from batch_record import record

SETS = {
    "large": ((".jpg",), ((6000, 4000), (4240, 2832), (4240, 2832))),
    "mixed": ((".jpg", ".png", ".tif", ".webp"), ((4240, 2832), *(((2400, 1600),) * 3), *(((1200, 800),) * 9))),
    "small": ((".jpg",), ((800, 533),) * 40),
}
LOOK_S, TENTH = 0.05, 0.1


def throughput(data: Path, sets: Sequence[str], rounds: int) -> dict[str, Any]:
    """Interleaved, for each set of photos: engines alone, then batches of one and of several streams.

    The rate of engines alone is that of `Engine.run` on the very tiles of the photos, all in memory, in engines that
    are fitted where a batch fits them: photos' megapixels over the seconds, nothing decoded, gated, blended, encoded
    or written. A batch does all of that.

    Shares of a batch, beside that plain one: by processor time, what engines alone take of what the batch takes; and
    the same with the time taken off that reading and writing the formats takes. No batch that keeps every core busy
    can have a larger share than `most_that_the_formats_allow`.
    """
    keep_freed_memory(large=False)
    cores = len(os.sched_getaffinity(0))
    whole, parts = [Deblurrer(threads=cores)], [Deblurrer(threads=1) for _ in range(cores)]
    engines = {f"1 engine of {cores} threads": whole, f"{cores} engines of 1 thread": parts}
    kinds = {
        f"1 stream of {cores} threads, 3 photos in the air": (whole, 3),
        f"{cores} streams of 1 thread, 2 photos each in the air": (parts, 2),
    }
    told: dict[str, Any] = {"engine": {**vars(whole[0].engine.info), "threads": cores}, "rounds": rounds, "sets": {}}
    for name in sets:
        alone: dict[str, list[dict[str, float]]] = {kind: [] for kind in engines}
        batches: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        with tempfile.TemporaryDirectory() as scratch:
            source, out = mosaics(data, Path(scratch) / "in", *SETS[name]), Path(scratch) / "out"
            pixels = sum(width * height for width, height in SETS[name][1]) / 1e6
            asked, formats = batches_of(source, whole[0], Path(scratch))
            formats /= pixels
            for _ in range(rounds):
                for kind, deblurrers in engines.items():
                    alone[kind].append(engines_alone(asked, deblurrers, pixels))
                    print(name, kind, alone[kind][-1], file=sys.stderr, flush=True)
                for kind, (deblurrers, at_once) in kinds.items():
                    batches[kind].append(run_once(source, out, deblurrers, at_once))
                    print(name, kind, batches[kind][-1], file=sys.stderr, flush=True)
        rates = {kind: median(runs, "megapixels_per_s") for kind, runs in alone.items()}
        fastest = max(rates.values())
        engine = min(median(found, "cpu_s_per_megapixel") for found in alone.values())
        told["sets"][name] = {
            "photos": len(SETS[name][1]), "endings": SETS[name][0], "megapixels": round(pixels, 1), "tiles": len(asked),
            "engines_alone": {kind: medians(runs) for kind, runs in alone.items()},
            "formats_cpu_s_per_megapixel": round(formats, 4),
            "most_that_the_formats_allow": round(engine / (engine + formats), 3),
            "batch": {
                kind: {
                    **medians(runs),
                    "share_by_processor_time": round(engine / median(runs, "cpu_s_per_megapixel"), 3),
                    "share_by_processor_time_without_formats": round(
                        engine / (median(runs, "cpu_s_per_megapixel") - formats), 3
                    ),
                    "share_of_fastest_engines": round(median(runs, "megapixels_per_s") / fastest, 3),
                    "share_of_one_engine": round(
                        median(runs, "megapixels_per_s") / rates[f"1 engine of {cores} threads"], 3
                    ),
                    "end_foretold_after_a_tenth": [round(run["foretold"], 3) for run in runs],
                    "of_each_round": [round(run["megapixels_per_s"], 3) for run in runs],
                }
                for kind, runs in batches.items()
            },
        }  # fmt: skip
    return told


def run_once(source: Path, out: Path, deblurrers: list[Deblurrer], at_once: int) -> dict[str, float]:
    """One batch in this process: megapixels a second, cores used, and the end foretold after a tenth of the work."""
    order = Order()
    asked = [Asked(str(path), str(path.relative_to(source))) for path in sorted(source.rglob("*")) if path.is_file()]
    with Journal(str(out)) as journal:
        journal.start(order.key(), {}, "benchmark")
        planned = journal.plan(list(tasks(asked, Store())), order.key(), "weights")
        work = LocalRun(journal, deblurrers, order, "weights", at_once=at_once)
        foretold: list[float] = []
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(LOOK_S):
                elapsed, remaining = time.monotonic() - work.started, work.remaining_s()
                if remaining is not None and work.share() >= TENTH:
                    foretold.append(elapsed + remaining)
                    return

        looking = threading.Thread(target=look)
        looking.start()
        used = Used()
        work.run(planned.work, lambda event: None, planned.queued)
        used.stop()
        stop.set()
        looking.join()
        assert journal.summary().photos == {"done": len(asked)}
    shutil.rmtree(out)
    return {
        **used.told(planned.megapixels),
        "foretold": foretold[0] / used.seconds if foretold else float("nan"),
    }  # fmt: skip


class Used:
    """Seconds, and the processor's time in them: of this process, and of all others together."""

    def __init__(self) -> None:
        self._start = (time.monotonic(), time.process_time(), busy_s())

    def stop(self) -> None:
        """The end."""
        ends = (time.monotonic(), time.process_time(), busy_s())
        self.seconds, self.cpu, every = (end - start for end, start in zip(ends, self._start, strict=True))
        self.others = max(every - self.cpu, 0.0)

    def told(self, megapixels: float) -> dict[str, float]:
        """Rates, and cores."""
        return {
            "megapixels_per_s": megapixels / self.seconds, "cores_used": self.cpu / self.seconds,
            "cpu_s_per_megapixel": self.cpu / megapixels, "cores_used_by_others": self.others / self.seconds,
        }  # fmt: skip


def busy_s() -> float:
    """Seconds that all cores of the machine have worked, what other guests took included."""
    fields = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Batch:
    """What an engine is asked.

    Attributes:
        values: (1, 3, h, w).
        fitted: whether it is the engine for this size that is asked.
    """

    values: np.ndarray
    fitted: bool


class Recorder:
    """An engine that keeps what it is asked."""

    def __init__(self, engine: FittingEngine, batches: list[Batch], *, is_fitted: bool = False) -> None:
        self.engine, self.batches, self.is_fitted = engine, batches, is_fitted

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`."""
        self.batches.append(Batch(batch, self.is_fitted))
        return self.engine.run(batch, pair)

    def fitted(self, height: int, width: int) -> Any:
        """See `FittingEngine.fitted`."""
        found = self.engine.fitted(height, width)
        return None if found is None else Recorder(cast(FittingEngine, found), self.batches, is_fitted=True)


def batches_of(source: Path, deblurrer: Deblurrer, folder: Path) -> tuple[list[Batch], float]:
    """What the network is asked over all photos, and the processor's seconds that reading and writing them takes."""
    batches: list[Batch] = []
    recorder, formats = Recorder(cast(FittingEngine, deblurrer.engine), batches), 0.0
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        started = time.process_time()
        photo = decode(path)
        formats += time.process_time() - started
        with finish(restore(photo, cast(Engine, recorder), deblurrer.model.card, Settings())).canvas as canvas:
            started = time.process_time()
            encode(photo, canvas, folder / path.name)
            formats += time.process_time() - started
    return batches, formats


def engines_alone(batches: list[Batch], deblurrers: list[Deblurrer], megapixels: float) -> dict[str, float]:
    """What is used while engines go through the same batches and do nothing else; each takes the next that waits."""
    waiting = iter(sorted(batches, key=lambda batch: -batch.values.size))
    lock = threading.Lock()
    ready = [made_ready(deblurrer.engine, batches) for deblurrer in deblurrers]

    def work(engines: dict[bool, Engine]) -> None:
        while True:
            with lock:
                batch = next(waiting, None)
            if batch is None:
                return
            engines[batch.fitted].run(batch.values)

    threads = [threading.Thread(target=work, args=(engines,)) for engines in ready]
    used = Used()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used.stop()
    return used.told(megapixels)


def made_ready(engine: Engine, batches: list[Batch]) -> dict[bool, Engine]:
    """The engine for any size (False) and the one for the size of the fitted batches (True), both loaded."""
    engines = {False: engine}
    for batch in sorted(batches, key=lambda batch: -batch.fitted):
        if batch.fitted and True not in engines:
            height, width = batch.values.shape[2:]
            engines[True] = cast(FittingEngine, engine).fitted(height, width) or engine
            engines[True].run(batch.values)
        elif not batch.fitted:
            engine.run(batch.values)
            break
    return engines


def median(runs: list[dict[str, float]], key: str) -> float:
    """Of a figure over rounds."""
    return statistics.median(run[key] for run in runs)


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of every figure over rounds."""
    return {key: round(median(runs, key), 3) for key in runs[0] if key != "foretold"}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=tuple(SETS))
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    record("throughput", lambda: throughput(chosen.data, chosen.sets, chosen.rounds))


if __name__ == "__main__":
    main()
