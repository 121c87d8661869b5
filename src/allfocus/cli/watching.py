"""The loop and the output of `allfocus watch`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from allfocus.batch.journal import Journal
from allfocus.batch.local import Event, LocalRun
from allfocus.batch.streams import arrival_streams, keep_memory
from allfocus.batch.survey import Asked, tasks
from allfocus.batch.watch import POLL_S, Arrival, Arrivals, Latencies
from allfocus.batch.work import Order
from allfocus.deblurrer import Deblurrer, written_suffix
from allfocus.errors import AllfocusError
from allfocus.weights import store

AT_MOST = 12
"""Arrivals that are restored as one group; while it lasts, others become whole and wait."""

LOOK_SHARE = 5.0
"""Listing a folder of very many files takes at most this fraction (1 in n) of the time."""

SAY_EVERY_S = 60.0


class Watching:
    """Takes arrivals through the journal of the output folder.

    `streams` engines work side by side, where the journal does not say how many threads each has.
    """

    def __init__(self, arrivals: Arrivals, order: Order, *, streams: int = 1, as_json: bool = False) -> None:
        self.arrivals = arrivals
        self.order = order
        self.streams = streams
        self.as_json = as_json
        self.latencies = Latencies()
        self.done = 0
        self.failed = 0

    def run(self, idle_exit: float | None = None) -> None:
        """Watch until a signal, or until no photo has arrived for `idle_exit` seconds.

        Raises:
            AllfocusError: the model, the engine or the output cannot be used. SystemExit: it ended by itself and some
                photos had failed.
        """
        from allfocus import __version__

        keep_memory()
        settings, weights = self.order.key(), store.find(self.order.model).card.sha256
        with Journal(str(self.arrivals.out)) as journal:
            journal.start(settings, self.order.description(), __version__)
            engines = arrival_streams(self.order, self.streams, journal.threads(settings))
            journal.note_threads(engines[0].engine.info.threads)
            print(f"watching {self.arrivals.folder}; results go to {self.arrivals.out}", file=sys.stderr, flush=True)
            last = said = time.monotonic()
            try:
                while idle_exit is None or time.monotonic() - last < idle_exit:
                    started = time.monotonic()
                    self.arrivals.look()
                    looked = time.monotonic() - started
                    group = self.arrivals.take(AT_MOST)
                    if group:
                        self._restore(journal, engines, settings, weights, group)
                        last = time.monotonic()
                    elif time.monotonic() - said > SAY_EVERY_S and self.latencies.kept:
                        said = time.monotonic()
                        self._say()
                    else:
                        time.sleep(max(POLL_S, LOOK_SHARE * looked))
            finally:
                self._say()
        if self.failed:
            raise SystemExit(AllfocusError.exit_code)

    def _restore(
        self, journal: Journal, engines: Sequence[Deblurrer], settings: str, weights: str, group: Sequence[Arrival]
    ) -> None:
        since = {str(arrival.path): arrival.since for arrival in group}
        asked = [Asked(str(arrival.path), self._name(arrival.path)) for arrival in group]
        planned = journal.plan(list(tasks(asked, journal.store)), settings, weights)

        def tell(event: Event) -> None:
            latency = time.monotonic() - since[event.claim.source]
            if event.error is not None:
                self.failed += 1
                self._print({"source": event.claim.source, "status": "failed", "error": str(event.error)})
                return
            self.done += 1
            self.latencies.add(latency)
            target = str(self.arrivals.out / event.claim.name)
            row = {"source": event.claim.source, "status": "done", "output": target, "latency": round(latency, 3)}
            self._print({**row, "waiting": len(self.arrivals.waiting)})

        if planned.queued:
            LocalRun(journal, engines, self.order, weights).run(planned.work, tell, planned.queued)

    def _name(self, path: Path) -> str:
        """Where the ending changes (raw, HEIC), the old one stays too, so that a.heic and a.jpg have two results."""
        suffix = written_suffix(path)
        name = path.name if suffix == path.suffix else f"{path.name}{suffix}"
        return path.relative_to(self.arrivals.folder).with_name(name).as_posix()

    def _print(self, row: dict[str, object]) -> None:
        if self.as_json:
            print(json.dumps(row), flush=True)
        elif row["status"] == "failed":
            print(f"failed: {row['error']}", file=sys.stderr, flush=True)
        else:
            print(f"{row['output']}  {row['latency']:.2f} s after its arrival, {row['waiting']} waiting", flush=True)

    def _say(self) -> None:
        held = f", {self.arrivals.held_back} held back" if self.arrivals.held_back else ""
        print(
            f"{self.done} done, {self.failed} failed, {len(self.arrivals.waiting)} waiting{held}; latency "
            f"p50 {self.latencies.percentile(0.5):.2f} s, p99 {self.latencies.percentile(0.99):.2f} s",
            file=sys.stderr,
            flush=True,
        )
