"""How much of its engines' rate does a batch keep, and when are they idle?

    python benchmarks/batch_throughput.py --data ../shared/data
    python benchmarks/batch_throughput.py --data ../shared/data --part steady

Writes the part `throughput` of results/batch.json, and results/batch_engines.png beside it, the times at which each
engine is busy; or the part `steady`, of a batch so long that its beginning and its end count for little. Needs an idle
machine.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.batch.journal import Journal
from allfocus.batch.local import LocalRun, photos_in_flight
from allfocus.batch.store import Store
from allfocus.batch.streams import keep_memory
from allfocus.batch.survey import Asked, tasks
from allfocus.batch.work import Order
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import Engine, Estimate
from allfocus.engine.pool import EnginePool
from allfocus.photo.codecs import decode, encode
from allfocus.photo.photo import Photo
from allfocus.restore import Settings, finish, restore
from batch_photos import DATA, mosaics
from batch_record import arguments, busy_s, record

SETS = {
    "large": ((".jpg",), ((6000, 4000), (4240, 2832), (4240, 2832))),
    "mixed": ((".jpg", ".png", ".tif", ".webp"), ((4240, 2832), *(((2400, 1600),) * 3), *(((1200, 800),) * 9))),
    "long": ((".jpg",), ((6000, 4000), *(((4240, 2832),) * 11))),
    "small": ((".jpg",), ((800, 533),) * 40),
}
RATE, CPU = "megapixels_per_s", "cpu_s_per_megapixel"
Run = Mapping[str, float]
PARTS = {"throughput": ("large", "mixed", "small"), "steady": ("long",)}


def throughput(
    data: Path, sets: Sequence[str], rounds: int, share: float, figure: Path, several: bool = False
) -> dict[str, Any]:
    """Interleaved, for each set of photos: engines alone, the pipeline in memory, batches; of one and several streams,
    or only of several, which are the fastest.

    The rate of engines alone is that of `Engine.run` on the very tiles of the photos, all in memory: photos' megapixels
    over the seconds, nothing decoded, gated, blended, encoded or written. A batch does all of that. The pipeline in
    memory stands between them: `restore` on decoded photos, as many at a time as in a batch, nothing encoded or
    written. Its share of the fastest engines' rate is what is left beside the network, and the share of its rate that a
    batch has is what formats, journal and scheduling leave.

    Shares are taken within each round, for machines get faster and slower; what is told is their median over rounds, of
    which every other one goes backwards.

    Shares of a batch, beside that plain one: by processor time, what engines alone take of what the batch takes; the
    same with the time taken off that reading and writing the formats takes; and how busy engines keep the cores, beside
    how busy they keep them alone, which does not depend on the machine's speed at the moment, but leaves out what the
    network loses because other work uses the caches. No batch that keeps every core busy can have a larger share than
    `most_that_the_formats_allow`.
    """
    keep_memory()
    cores = len(os.sched_getaffinity(0))
    whole, parts = [Deblurrer(threads=cores)], [Deblurrer(threads=1) for _ in range(cores)]
    kinds = {f"1 engine of {cores} threads": whole} if not several else {}
    kinds[f"{cores} engines of 1 thread"] = parts
    found: dict[str, Any] = {"engine": {**vars(whole[0].engine.info), "threads": cores}, "rounds": rounds, "sets": {}}
    traces: dict[str, Trace] = {}
    for name in sets:
        found["sets"][name] = measured(name, data, kinds, rounds, share, traces)
    if "long" not in sets:
        draw(traces, figure)
    return found


Kinds = Mapping[str, list[Deblurrer]]
"""The engines of each way to use the cores."""


def measured(
    name: str, data: Path, kinds: Kinds, rounds: int, share: float, traces: dict[str, Trace]
) -> dict[str, Any]:
    """One set of photos; the last times at which each engine was busy go to `traces`."""
    alone: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    pipelines: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    batches: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as scratch:
        source, out = mosaics(data, Path(scratch) / "in", *SETS[name], share=share), Path(scratch) / "out"
        photos, tiles, formats = tiles_of(source, next(iter(kinds.values()))[0], Path(scratch))
        pixels = sum(photo.width * photo.height for photo in photos) / 1e6
        formats /= pixels

        def on_their_own(kind: str) -> None:
            alone[kind].append(engines_alone(tiles, kinds[kind], pixels))

        def in_memory(kind: str) -> None:
            pipelines[kind].append(pipeline_in_memory(photos, kinds[kind], pixels))

        def as_a_batch(kind: str) -> None:
            measured, traces[f"{name}, {kind}"] = run_once(source, out, kinds[kind])
            batches[kind].append(measured)

        steps = ((on_their_own, alone), (in_memory, pipelines), (as_a_batch, batches))
        wanted = [(step, runs, kind) for step, runs in steps for kind in kinds]
        for turn in range(rounds):
            for step, runs, kind in wanted[:: -1 if turn % 2 else 1]:
                step(kind)
                print(name, kind, step.__name__, runs[kind][-1], file=sys.stderr, flush=True)
    fastest = [{RATE: max(run[RATE] for run in runs)} for runs in zip(*alone.values(), strict=True)]
    least = [{CPU: min(run[CPU] for run in runs)} for runs in zip(*alone.values(), strict=True)]
    engine = median(least, CPU)
    return {
        "photos": len(SETS[name][1]), "endings": SETS[name][0], "megapixels": round(pixels, 1),
        "tiles": len(tiles), "megapixels_of_tiles": round(sum(map(area, tiles)) / 1e6, 1),
        "engines_alone": {kind: medians(runs) for kind, runs in alone.items()},
        "pipeline_in_memory": {
            kind: {
                **medians(runs),
                "share_of_fastest_engines": shares(runs, fastest, RATE)[0],
            }
            for kind, runs in pipelines.items()
        },
        "formats_cpu_s_per_megapixel": round(formats, 4),
        "most_that_the_formats_allow": round(engine / (engine + formats), 3),
        "batch": {
            kind: {
                **medians(runs),
                "share_by_processor_time": shares(least, runs, CPU)[0],
                "share_by_processor_time_without_formats": shares(
                    least, [{CPU: run[CPU] - formats} for run in runs], CPU
                )[0],
                "share_of_busy_cores": shares(
                    [{"busy": run["engines_cpu_s_per_megapixel"] * run[RATE]} for run in runs],
                    [{"busy": run[CPU] * run[RATE]} for run in alone[kind]],
                    "busy",
                )[0],
                "share_of_fastest_engines": shares(runs, fastest, RATE)[0],
                "share_of_same_engines": shares(runs, alone[kind], RATE)[0],
                "share_of_pipeline_in_memory": shares(runs, pipelines[kind], RATE)[0],
                "of_each_round": [round(run[RATE], 3) for run in runs],
                "shares_of_each_round": shares(runs, fastest, RATE)[1],
            }
            for kind, runs in batches.items()
        },
    }  # fmt: skip


def shares(runs: Sequence[Run], others: Sequence[Run], key: str) -> tuple[float, list[float]]:
    """A figure of runs over that of the others in the same round: the median, and of each round."""
    each = [run[key] / other[key] for run, other in zip(runs, others, strict=True)]
    return round(statistics.median(each), 3), [round(one, 3) for one in each]


Trace = list[list[tuple[float, float]]]
"""For each engine when its calls began and ended, in seconds since the batch began."""


class Traced:
    """An engine that notes when it is busy."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.busy: list[tuple[float, float]] = []

    @property
    def info(self) -> Any:
        """See `Engine.info`."""
        return self.engine.info

    @property
    def redone(self) -> int:
        """See `Engine.redone`."""
        return self.engine.redone

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`."""
        began = time.monotonic()
        found = self.engine.run(batch, pair)
        self.busy.append((began, time.monotonic()))
        return found


def run_once(
    source: Path, out: Path, deblurrers: list[Deblurrer], look: Callable[[LocalRun], None] = lambda work: None
) -> tuple[dict[str, float], Trace]:
    """One batch in this process, and the times of its engines.

    Args:
        source: folder of photos.
        out: of the results; removed at the end.
        deblurrers: one for each stream.
        look: called once, in a thread of its own, as the batch begins.
    """
    order = Order()
    asked = [Asked(str(path), str(path.relative_to(source))) for path in sorted(source.rglob("*")) if path.is_file()]
    traced = [Traced(deblurrer.engine) for deblurrer in deblurrers]
    with Journal(str(out)) as journal:
        journal.start(order.key(), {}, "benchmark")
        planned = journal.plan(list(tasks(asked, Store())), order.key(), "weights")
        engines = [deblurrer.on(engine) for deblurrer, engine in zip(deblurrers, traced, strict=True)]
        work = LocalRun(journal, engines, order, "weights")
        looking = threading.Thread(target=look, args=(work,))
        looking.start()
        used = Used()
        work.run(planned.work, lambda event: None, planned.queued)
        used.stop()
        looking.join()
        assert journal.summary().photos == {"done": len(asked)}
    shutil.rmtree(out)
    trace = [[(began - work.started, ended - work.started) for began, ended in engine.busy] for engine in traced]
    busy = sum(ended - began for calls in trace for began, ended in calls)
    uses = work.used().engines
    return {
        "seconds": used.seconds,
        **used.told(planned.megapixels),
        "engines_idle": 1 - busy / (len(trace) * used.seconds),
        "engines_cpu_s_per_megapixel": sum(use.cpu_s for use in uses) / planned.megapixels,
        "fresh_pages_per_megapixel": used.pages / planned.megapixels,
    }, trace


def draw(traces: dict[str, Trace], path: Path) -> None:
    """A bar for each call of each engine, against time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.1 * len(traces)), layout="constrained")
    for axes, (title, trace) in zip(np.atleast_1d(figure.subplots(len(traces), 1)), traces.items(), strict=True):
        for index, calls in enumerate(trace):
            spans = [(began, ended - began) for began, ended in calls]
            axes.broken_barh(spans, (index - 0.4, 0.8), facecolor="0.6", edgecolor="0.2", linewidth=0.4)
        axes.set_title(f"{title}: when each engine is busy", fontsize=8, loc="left")
        axes.set_yticks(range(len(trace)))
        axes.set_xlim(0)
        axes.tick_params(labelsize=7)
    axes.set_xlabel("seconds since the batch began", fontsize=7)
    figure.savefig(path, dpi=100)


class Used:
    """Seconds, and the processor's time in them: of this process, and of all others together."""

    def __init__(self) -> None:
        self._start = (time.monotonic(), time.process_time(), busy_s())
        self._pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def stop(self) -> None:
        """The end."""
        ends = (time.monotonic(), time.process_time(), busy_s())
        self.seconds, self.cpu, every = (end - start for end, start in zip(ends, self._start, strict=True))
        self.others = max(every - self.cpu, 0.0)
        self.pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - self._pages

    def told(self, megapixels: float) -> dict[str, float]:
        """Rates, and cores."""
        return {
            "megapixels_per_s": megapixels / self.seconds, "cores_used": self.cpu / self.seconds,
            "cpu_s_per_megapixel": self.cpu / megapixels, "cores_used_by_others": self.others / self.seconds,
        }  # fmt: skip


class Recorder:
    """An engine that keeps what it is asked."""

    redone = 0

    def __init__(self, engine: Engine, tiles: list[np.ndarray]) -> None:
        self.engine, self.tiles, self.info = engine, tiles, engine.info

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`."""
        self.tiles.append(batch.copy())
        return self.engine.run(batch, pair)


def tiles_of(source: Path, deblurrer: Deblurrer, folder: Path) -> tuple[list[Photo], list[np.ndarray], float]:
    """The photos, decoded; what the network is asked over all of them; and the processor's seconds that reading and
    writing them takes."""
    photos: list[Photo] = []
    tiles: list[np.ndarray] = []
    recorder, formats = Recorder(deblurrer.engine, tiles), 0.0
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        started = time.process_time()
        photo = decode(path)
        formats += time.process_time() - started
        photos.append(photo)
        with finish(restore(photo, recorder, deblurrer.model.card, Settings())).canvas as canvas:
            started = time.process_time()
            encode(photo, canvas, folder / path.name)
            formats += time.process_time() - started
    return photos, tiles, formats


def engines_alone(tiles: list[np.ndarray], deblurrers: list[Deblurrer], megapixels: float) -> dict[str, float]:
    """What is used while engines go through the same tiles and do nothing else; each takes the next that waits."""
    ordered = sorted(tiles, key=area, reverse=True)
    waiting, lock = iter(ordered), threading.Lock()
    for deblurrer in deblurrers:
        deblurrer.engine.run(ordered[0])  # it takes its memory

    def work(engine: Engine) -> None:
        while True:
            with lock:
                tile = next(waiting, None)
            if tile is None:
                return
            engine.run(tile)

    threads = [threading.Thread(target=work, args=(deblurrer.engine,)) for deblurrer in deblurrers]
    used = Used()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used.stop()
    return used.told(megapixels)


def pipeline_in_memory(photos: list[Photo], deblurrers: list[Deblurrer], megapixels: float) -> dict[str, float]:
    """What is used while decoded photos are restored, as many at a time as in a batch, and nothing is written."""
    pool, card = EnginePool([deblurrer.engine for deblurrer in deblurrers]), deblurrers[0].model.card

    def work(photo: Photo) -> None:
        finish(restore(photo, pool, card, Settings())).canvas.close()

    ordered = sorted(photos, key=lambda photo: -photo.width * photo.height)
    used = Used()
    with ThreadPoolExecutor(photos_in_flight(len(deblurrers))) as workers:
        for _ in workers.map(work, ordered):
            pass
    used.stop()
    return used.told(megapixels)


def area(tile: np.ndarray) -> int:
    """Pixels of a tile."""
    return tile.shape[2] * tile.shape[3]


def median(runs: Sequence[Run], key: str) -> float:
    """Of a figure over rounds."""
    return statistics.median(run[key] for run in runs)


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of every figure over rounds."""
    return {key: round(median(runs, key), 3) for key in runs[0]}


def main() -> None:
    """Measure."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--part", choices=tuple(PARTS), default="throughput")
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), help="others than those of the part")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--several", action="store_true", help="only several engines of one thread")
    parser.add_argument("--share", type=float, default=1.0, help="of the photos' sides, for a trial")
    chosen = parser.parse_args()
    figure, sets = chosen.output.with_name("batch_engines.png"), chosen.sets or PARTS[chosen.part]
    found = partial(throughput, chosen.data, sets, chosen.rounds, chosen.share, figure, chosen.several)
    record(chosen.part, found, chosen.output)


if __name__ == "__main__":
    main()
