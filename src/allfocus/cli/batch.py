"""What `allfocus deblur` does with a folder or a URL: through the journal, on this machine or on a cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allfocus.batch.entries import Planned
from allfocus.batch.forecast import EACH_MEGAPIXELS, GROWTH
from allfocus.batch.journal import NAME, Journal
from allfocus.batch.local import Event, LocalRun, photos_in_flight
from allfocus.batch.snapshot import Snapshot
from allfocus.batch.store import Store, is_url, join, plain
from allfocus.batch.streams import keep_memory, streams
from allfocus.batch.survey import Asked, photos_at, tasks
from allfocus.batch.work import Order
from allfocus.cli.report import Report, summary_of
from allfocus.cli.stopping import Stopped
from allfocus.errors import InputError, OptionError, OutputError
from allfocus.inputs import Plan, Refused, collect
from allfocus.photo.canvas import is_utf8
from allfocus.photo.formats import PHOTO_EXTENSIONS
from allfocus.scratch import ScratchFolder

if TYPE_CHECKING:
    from allfocus.batch.ray import Cluster, ClusterRun
    from allfocus.deblurrer import Deblurrer

SAY_EVERY_S = 30.0
PROBE_PX = (1000, 1000)
CANVASES, CANVAS_MB = 3, 64
"""Scratch pictures per photo in flight, and the most memory that one of them takes."""


@dataclass(frozen=True)
class BatchOptions:
    """How to run a batch.

    Attributes:
        overwrite: restore everything again.
        retry_failed: try photos again that failed.
        dry_run: only report what would be done.
        cluster: where to run; None for this machine.
        as_json: outcomes as JSON.
    """

    overwrite: bool = False
    retry_failed: bool = False
    dry_run: bool = False
    cluster: Cluster | None = None
    as_json: bool = False


@dataclass(frozen=True)
class PhotoBatch:
    """Photos, where their results go, and what to make of them.

    Attributes:
        folder: the output, a path or URL.
        plan: of the photos that lie on this machine.
        asked: every photo, with its name below the output.
        order: what to make.
        options: how to run.
        store: reads and writes.
    """

    folder: str
    plan: Plan
    asked: tuple[Asked, ...]
    order: Order
    options: BatchOptions
    store: Store

    @classmethod
    def of(cls, inputs: Sequence[str], output: str, order: Order, options: BatchOptions) -> PhotoBatch:
        """Read the command line.

        Args:
            inputs: paths, globs and URLs.
            output: a folder or its URL.
            order: says which files are made.
            options: how to run.

        Raises:
            AllfocusError: see `inputs.collect` and `survey.photos_at`.
        """
        store = Store()
        output = plain(output)
        store.check_writable(output)
        if Path(output).suffix.lower() in PHOTO_EXTENSIONS and not Path(output).is_dir():
            raise OptionError(f"-o {output} for a batch", "a folder", f"-o {Path(output).stem}/")
        paths = [plain(text) for text in inputs if not is_url(plain(text))]
        urls = [plain(text) for text in inputs if is_url(plain(text))]
        plan, asked, folder = Plan(()), [], output
        if paths and is_url(output):
            # planned into an empty folder: names are what is wanted of it
            with ScratchFolder.temporary() as empty:
                plan = collect(paths, f"{empty.path}/", map=order.map, compare=order.compare)
                asked = _named(plan, empty.path)
        elif paths:
            plan = collect(paths, output, map=order.map, compare=order.compare)
            if plan.folder is None:
                raise OptionError(f"-o {output} for a batch", "a folder", f"-o {output}/")
            folder = str(plan.folder)
            plan = _without_odd_names(plan)
            asked = _named(plan, Path(folder))
        for url in urls:
            asked += [_with_side_files(photo, order) for photo in photos_at(url, store)]
        names: dict[str, str] = {}
        for photo in asked:
            if photo.name in names:
                raise OutputError(
                    f"{photo.source} and {names[photo.name]} would both become {join(folder, photo.name)}",
                    "a separate file for each",
                    "two runs with two output folders",
                )
            names[photo.name] = photo.source
        return cls(folder, plan, tuple(asked), order, options, store)

    def run(self) -> None:
        """Restore what is not yet done.

        Raises:
            AllfocusError: the run cannot start, or not go on. SystemExit: some photos failed. Stopped: by a signal.
        """
        folder, plan, asked, order, options, store = (
            self.folder, self.plan, self.asked, self.order, self.options, self.store
        )  # fmt: skip
        if not asked:  # all refused: no journal where nothing is to be written
            report = _BatchReport(plan, folder, options)
            report.refuse()
            report.end()
            return
        if options.dry_run:
            _tell_dry(folder, plan, asked, order, options, store)
            return
        snapshot = Snapshot(folder, store) if is_url(folder) else None
        if snapshot is not None:
            snapshot.pull()
        report = _BatchReport(plan, folder, options)
        weights = _weights(order)
        with Journal(folder, file=None if snapshot is None else snapshot.file, store=store) as journal:
            from allfocus import __version__

            journal.start(order.key(), order.description(), __version__)
            planned = journal.plan(
                list(tasks(asked, store)), order.key(), weights,
                retry_failed=options.retry_failed, overwrite=options.overwrite, lying=_lying(folder, store),
            )  # fmt: skip
            report.begin(asked, planned, journal)
            if planned.queued or planned.elsewhere:
                work = _work(journal, order, weights, options, planned)
                with report.bar(work, planned) as advance:

                    def tell(event: Event) -> None:
                        report.event(event)
                        advance()
                        if snapshot is not None:
                            snapshot.push(journal)

                    try:
                        work.run(planned.work, tell, planned.queued)
                    except Stopped:
                        report.stopped(journal)
                        raise
                    finally:
                        if work.forecast is not None and work.forecast.photos:
                            journal.note_rate(work.forecast.megapixels, time.monotonic() - work.started)
                        if snapshot is not None:
                            snapshot.push(journal, now=True)
                report.print_rate(work)
            report.others(journal)
        report.end()


class _BatchReport(Report):
    """`Report` for photos that come in any order, from any thread."""

    def __init__(self, plan: Plan, folder: str, options: BatchOptions) -> None:
        super().__init__(replace(plan, named=False), as_json=options.as_json)
        self.folder = folder
        self.options = options
        self._pending: dict[str, str] = {}  # name -> source
        self._said = time.monotonic()

    def begin(self, asked: Sequence[Asked], planned: Planned, journal: Journal) -> None:
        """Say what there is, what is skipped, and what failed before."""
        self.total = len(asked) + len(self.plan.refused)
        self.refuse()
        before = journal.failures(name for name, verdict in planned.verdicts.items() if verdict == "failed")
        for photo in asked:
            verdict, target = planned.verdicts[photo.name], join(self.folder, photo.name)
            if verdict in ("done", "found"):
                self.passed += 1
                self._row({"source": photo.source, "status": "skipped", "output": target, "missing": []})
                why = "is done" if verdict == "done" else "is there, and not from this journal"
                self._lines([f"{target}  {why}: skipped"])
            elif verdict == "failed":
                self.failed(photo.source, before[photo.name])
            else:
                self._pending[photo.name] = photo.source
        if before and not self.as_json:
            number = f"{len(before)} photo{'s' if len(before) > 1 else ''}"
            print(f"{number} failed before; --retry-failed tries again", file=sys.stderr)

    def refuse(self) -> None:
        """Name what was left alone on purpose, and what was named and cannot be restored."""
        for sentence in self.plan.passed_over:
            print(sentence, file=sys.stderr)
        for refused in self.plan.refused:
            self.failed(refused.source, refused.error)

    def event(self, event: Event) -> None:
        """A photo is done or has failed."""
        self._pending.pop(event.claim.name, None)
        if event.result is None:
            assert event.error is not None
            self.failed(event.claim.source, event.error)
            return
        claim = event.claim
        maps, pair = (None if name is None else join(self.folder, name) for name in (claim.numbers, claim.comparison))
        files = {"source": claim.source, "output": join(self.folder, claim.name), "comparison": pair, "map": maps}
        summary = "a copy: another photo has the same content" if event.copied else summary_of(event.result.facts)
        self._done({**files, "copied": event.copied}, summary, event.result.facts)

    def others(self, journal: Journal) -> None:
        """Photos that another process of the same journal has done meanwhile."""
        failures = journal.failures(self._pending)
        for name, source in self._pending.items():
            if name in failures:
                self.failed(source, failures[name])
            else:
                self.finished += 1
                target = join(self.folder, name)
                self._row({"source": source, "status": "done", "output": target, "elsewhere": True})
                self._lines([f"{target}  was done by another process"])
        self._pending = {}

    def stopped(self, journal: Journal) -> None:
        """A signal has arrived."""
        for source in self._pending.values():
            self._row({"source": source, "status": "stopped"})
        print(f"{self._counts()}, {len(self._pending)} not; the same command resumes", file=sys.stderr)

    def end(self) -> None:
        """Say the sum. SystemExit: some photos failed."""
        self._end()

    @contextmanager
    def bar(self, work: LocalRun | ClusterRun, planned: Planned) -> Iterator[Callable[[], None]]:
        """A bar of megapixels where a person watches; elsewhere a line now and then; nothing with JSON."""
        if self.as_json:
            yield lambda: None
            return
        if not sys.stderr.isatty():
            yield lambda: self._say(work)
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[forecast]}"))
        console = Console(stderr=True)
        with Bars(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bars:
            task = bars.add_task("photos", total=1.0, forecast="")

            def advance() -> None:
                bars.update(task, completed=work.share(), forecast=_forecast(work))

            yield advance

    def print_rate(self, work: LocalRun | ClusterRun) -> None:
        """The throughput of the run."""
        if work.forecast is not None and work.forecast.photos and not self.as_json:
            seconds = time.monotonic() - work.started
            rate = work.forecast.rate(seconds)
            took = f"{seconds:.1f} s" if seconds < 10 else _time(seconds)
            print(
                f"{work.forecast.megapixels:.1f} megapixels in {took}: {rate:.2f} megapixels per second",
                file=sys.stderr,
            )

    def _say(self, work: LocalRun | ClusterRun) -> None:
        if time.monotonic() - self._said >= SAY_EVERY_S:
            self._said = time.monotonic()
            print(_forecast(work), file=sys.stderr, flush=True)


def _work(
    journal: Journal, order: Order, weights: str, options: BatchOptions, planned: Planned
) -> LocalRun | ClusterRun:
    if options.cluster is not None:
        from allfocus.batch.ray import ClusterRun

        return ClusterRun(journal, order, options.cluster)
    engines = _engines(order, planned, journal.threads(order.key()))
    journal.note_threads(engines[0].engine.info.threads)
    return LocalRun(journal, engines, order, weights)


def _engines(order: Order, planned: Planned, threads: int | None) -> list[Deblurrer]:
    keep_memory()
    return streams(order, planned.queued, threads)


def _weights(order: Order) -> str:
    from allfocus.weights import store

    return store.find(order.model).card.sha256


def _without_odd_names(plan: Plan) -> Plan:
    """The plan less the photos whose names a journal cannot hold, for it keeps text in UTF-8."""
    odd = [job for job in plan.jobs if not all(is_utf8(path) for path in (job.source, *job.writes))]
    refused = tuple(
        Refused(
            job.source,
            InputError(
                f"the name of {job.source} is not UTF-8",
                "a name that a journal can hold",
                "rename it, or deblur it alone",
            ),
        )
        for job in odd
    )
    return replace(plan, jobs=tuple(job for job in plan.jobs if job not in odd), refused=(*plan.refused, *refused))


def _named(plan: Plan, folder: Path) -> list[Asked]:
    def name(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(folder).as_posix()

    return [
        Asked(str(job.source), job.target.relative_to(folder).as_posix(), None, name(job.numbers), name(job.comparison))
        for job in plan.jobs
    ]


def _with_side_files(photo: Asked, order: Order) -> Asked:
    return replace(
        photo,
        numbers=f"{photo.name}.map.tiff" if order.map else None,
        comparison=f"{photo.name}.compare.jpg" if order.compare else None,
    )


def _lying(folder: str, store: Store) -> dict[str, str] | None:
    """For a URL, one listing instead of a question for each result."""
    if not is_url(folder):
        return None
    return {item.location[len(folder) :].lstrip("/"): item.stamp for item in store.walk(folder)}


def _tell_dry(
    folder: str, plan: Plan, asked: Sequence[Asked], order: Order, options: BatchOptions, store: Store
) -> None:
    snapshot = Snapshot(folder, store) if is_url(folder) else None
    if snapshot is not None:
        snapshot.pull()
    with ScratchFolder.temporary() as empty:
        here = Path(folder) / NAME if snapshot is None else snapshot.file
        file = here if here.is_file() else empty.path / here.name
        with Journal(folder, file=file, store=store) as journal:
            planned = journal.plan(
                list(tasks(asked, store)), order.key(), _weights(order),
                retry_failed=options.retry_failed, overwrite=options.overwrite, dry=True, lying=_lying(folder, store),
            )  # fmt: skip
            known, growth, threads = journal.rate(), journal.growth(), journal.threads(order.key())
    engines = _engines(order, planned, threads) if planned.queued else []
    measured, memory = _probe(engines) if engines else (1.0, 0.0)
    rate = known or measured
    seconds = (planned.work + planned.queued * EACH_MEGAPIXELS) / rate
    waiting = photos_in_flight(len(engines)) - len(engines)
    memory += waiting * CANVASES * min(CANVAS_MB, 3 * planned.largest)
    space = planned.bytes * (growth or GROWTH) / 1e6
    row: dict[str, Any] = {
        "photos": planned.queued, "megapixels": round(planned.megapixels, 3), "done": planned.done,
        "found": planned.found, "failed": planned.failed, "refused": len(plan.refused), "seconds": round(seconds, 3),
        "megapixels_per_second": round(rate, 3), "memory_mb": round(memory), "space_mb": round(space, 1),
    }  # fmt: skip
    if options.as_json:
        import json

        print(json.dumps({"dry_run": row}))
        return
    source = "the last run here" if known else "one megapixel, just now"
    print(f"{planned.queued} photos, {planned.megapixels:.1f} megapixels to do")
    print(f"{planned.done} done before, {planned.found} already there, {planned.failed} failed before")
    for refused in plan.refused:
        print(f"refused: {refused.source}: {refused.error}")
    if planned.queued:
        print(f"about {_time(seconds)} at {rate:.2f} megapixels per second (measured on {source})")
        print(f"about {memory:.0f} MB of memory, {space:.1f} MB of space for the results")


def _probe(engines: Sequence[Deblurrer]) -> tuple[float, float]:
    """Megapixels a second on soft pictures of one megapixel, and the memory of the process in MB afterwards."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    width, height = PROBE_PX
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = 127 + 60 * np.sin(columns / 9) + 60 * np.cos(rows / 13)
    picture = np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)
    with ThreadPoolExecutor(len(engines)) as streams:
        for _ in range(2):  # the first time every engine gets ready for the size
            started = time.perf_counter()
            for _ in streams.map(lambda deblurrer: deblurrer.run(picture), engines):
                pass
    rate = len(engines) * width * height / 1e6 / (time.perf_counter() - started)
    try:
        import resource
    except ImportError:  # Windows
        return rate, 0.0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return rate, most / (1e6 if sys.platform == "darwin" else 1e3)


def _forecast(work: LocalRun | ClusterRun) -> str:
    assert work.forecast is not None
    remaining = work.remaining_s()
    rate = work.forecast.rate(time.monotonic() - work.started)
    when = "" if remaining is None else f", about {_time(remaining)} to go"
    return f"{work.share():.0%}, {work.forecast.photos} photos, {rate:.2f} megapixels per second{when}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
