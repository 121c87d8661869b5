"""A batch on a Ray cluster: Ray Data distributes the photos; the driver keeps the journal and names the results."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from allfocus.batch.entries import Claim, PhotoFailed, Result
from allfocus.batch.forecast import BatchForecast, Used
from allfocus.batch.journal import Journal
from allfocus.batch.local import Event, photos_in_flight
from allfocus.batch.store import Store, is_url
from allfocus.batch.streams import keep_memory
from allfocus.batch.work import Order, Staged, failure_of, fetch, publish, restore_into
from allfocus.engine.pool import EnginePool
from allfocus.engine.processor import THREADS_VARIABLE
from allfocus.errors import AllfocusError, EngineError, OutputError, StoreError, needs
from allfocus.scratch import ScratchFolder

MOST_BLOCKS = 20_000
"""The most blocks that Ray Data divides the photos into; the block of a killed worker is repeated."""

FRUGAL = {
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_enable_timeline": "0",
    "RAY_event_stats": "0",
    "RAY_raylet_report_resources_period_milliseconds": "1000",
}
"""Variables that keep Ray from collecting figures for its dashboard, which takes time from small nodes. Of a cluster of
this machine alone, unless they are set; other clusters are started by their owners (docs/clusters.md)."""

DEATHS = 3
"""A photo fails once this many workers have died on it."""


@dataclass(frozen=True)
class Cluster:
    """The cluster, and the size of a worker.

    Attributes:
        address: "auto" for the cluster that this machine is part of, "local" for one of this machine alone, or
            HOST:PORT or ray://HOST:PORT.
        cpus: of each worker; its engine computes with as many threads.
        gpus: of each worker.
    """

    address: str = "auto"
    cpus: int = 2
    gpus: float = 0.0


class ClusterRun:
    """Processes the photos of `journal.plan` on all nodes of the cluster.

    Workers read photos and write results into a scratch folder that every node sees, or straight to a URL; they never
    touch the journal. A worker that dies takes nothing with it: Ray gives its photos to another.

    Args:
        journal: started and planned. Its folder is a URL, or a path that every node sees.
        order: what to make of each photo.
        cluster: where, and how large a worker is.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: no cluster at this address.
    """

    def __init__(self, journal: Journal, order: Order, cluster: Cluster) -> None:
        assert journal.owner is not None  # start() comes first
        self.journal = journal
        self.order = order
        self.cluster = cluster
        self.forecast: BatchForecast | None = None
        self.started = time.monotonic()
        self._ray = _connect(cluster.address)

    def run(self, work: float, tell: Callable[[Event], None], photos: int = 0) -> None:
        """Work until every wanted photo is done or has failed; see `LocalRun.run`."""
        self.started = time.monotonic()
        self.forecast = BatchForecast(work, photos, self.started)
        claims = {claim.number: claim for claim in iter(self.journal.claim, None)}
        with contextlib.closing(self._results(list(claims.values()))) as results:
            for answer in results:
                claim = claims.pop(answer["number"])
                self._settle(claim, answer, tell)
        for claim in claims.values():
            self.journal.release(claim)

    def remaining_s(self) -> float | None:
        """Estimated seconds until the end."""
        return None if self.forecast is None else self.forecast.remaining_s(Used(time.monotonic()))

    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        return 0.0 if self.forecast is None else self.forecast.share(Used(time.monotonic()))

    def _results(self, claims: list[Claim]) -> Generator[dict[str, Any], None, None]:
        if not claims:
            return
        ray, data = self._ray, self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        assert self.journal.owner is not None
        threads = self.journal.threads(self.order.key()) or self.cluster.cpus
        self.journal.note_threads(threads)
        deaths = ray.remote(num_cpus=0, max_restarts=0)(_Starts).remote()
        room = sum(int(node["Resources"].get("CPU", 0)) // self.cluster.cpus for node in ray.nodes() if node["Alive"])
        rows = [{"claim": json.dumps(asdict(claim))} for claim in claims]
        spread = data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map_batches(
            _Worker,
            batch_size=1,
            num_cpus=self.cluster.cpus,
            num_gpus=self.cluster.gpus or None,
            compute=data.ActorPoolStrategy(
                min_size=max(1, room),
                max_concurrent_calls_per_actor=photos_in_flight(1),
                enable_true_multi_threading=True,
            ),
            fn_constructor_kwargs={
                "order": self.order,
                "folder": self.journal.folder,
                "scratch": None if is_url(self.journal.folder) else str(self.journal.owner.path.resolve()),
                "threads": threads,
                "patience_s": self.journal.store.patience_s,
                "starts": deaths,
            },
        )
        for row in spread.iter_rows():
            yield json.loads(row["answer"])

    def _settle(self, claim: Claim, answer: dict[str, Any], tell: Callable[[Event], None]) -> None:
        assert self.forecast is not None
        if answer.get("away"):
            raise StoreError(answer["error"], "a store that responds", "the same command again later")
        # tiles are not told: whole photos count
        self.forecast.begin(claim.number, claim.megapixels, claim.name, time.monotonic())
        if answer.get("error") is not None:
            self.journal.failed(claim, answer["error"], answer.get("content"))
            self.forecast.end(claim.number, None)
            tell(Event(claim, error=PhotoFailed(answer["error"])))
            return
        result = Result(**answer["result"])
        self.journal.written(claim, result)
        try:
            if answer["files"]:
                files = tuple((Path(path), name) for path, name in answer["files"])
                publish(Staged(result, files), self.journal.folder, claim, self.journal.store)
                shutil.rmtree(files[-1][0].parent.parent, ignore_errors=True)
        except OutputError as error:
            self.journal.failed(claim, str(error), result.content)
            self.forecast.end(claim.number, None)
            tell(Event(claim, error=error))
            return
        self.journal.done(claim)
        self.forecast.end(claim.number, result.megapixels)
        tell(Event(claim, result))


class _Starts:
    """An actor that counts how often each photo was started; it survives the workers."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def begin(self, number: int) -> int:
        self._counts[number] = self._counts.get(number, 0) + 1
        return self._counts[number]


class _Worker:
    """One engine in an actor; photos come as rows of JSON and go as rows of JSON."""

    def __init__(
        self, order: Order, folder: str, scratch: str | None, threads: int, patience_s: float, starts: Any
    ) -> None:
        os.environ[THREADS_VARIABLE] = str(threads)
        keep_memory()
        self.order, self.folder, self.scratch, self.starts = order, folder, scratch, starts
        self.store = Store(patience_s)
        deblurrer = order.deblurrer()
        self.deblurrer = deblurrer.on(EnginePool([deblurrer.engine]))  # the same bytes as on one machine

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        return {"answer": [json.dumps(self._one(Claim(**json.loads(claim)))) for claim in batch["claim"]]}

    def _one(self, claim: Claim) -> dict[str, Any]:
        import ray

        answer: dict[str, Any] = {"number": claim.number, "error": None}
        starts: Any = ray.get(self.starts.begin.remote(claim.number))
        if starts > DEATHS:
            return answer | {"error": f"{DEATHS} workers died on this photo"}
        held = ScratchFolder.temporary() if self.scratch is None else None
        try:
            place = self._beside(claim) if held is None else held.path
        except AllfocusError as error:
            return answer | {"error": str(error)}
        content = None
        try:
            file, content = fetch(claim.source, place, self.store)
            staged = restore_into(place, file, content, claim, self.deblurrer, self.order)
            if self.scratch is None:
                publish(staged, self.folder, claim, self.store)
            files = [] if self.scratch is None else [(str(path), name) for path, name in staged.files]
            return answer | {"result": asdict(staged.result), "files": files}
        except StoreError as error:
            return answer | {"error": error.got, "away": True}
        except Exception as error:
            shutil.rmtree(place, ignore_errors=True)
            return answer | {"error": str(failure_of(claim.source, error)), "content": content}
        finally:
            if held is not None:
                held.close()

    def _beside(self, claim: Claim) -> Path:
        """A folder beside the output for this attempt alone: a worker presumed dead may still write to its own."""
        assert self.scratch is not None
        if not Path(self.scratch).is_dir():
            raise OutputError(
                f"the node {socket.gethostname()} does not see {self.scratch}",
                "an output folder that every node can reach under the same path",
                "a shared file system, or -o s3://BUCKET/FOLDER",
            )
        return Path(self.scratch) / f"{claim.number}-{uuid.uuid4().hex[:8]}"


def _connect(address: str) -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with needs("--cluster", "ray", "ray[data]"):
        import ray
        import ray.data
    if ray.is_initialized():
        return ray
    if address == "local":
        for name, value in FRUGAL.items():
            os.environ.setdefault(name, value)
    try:
        ray.init(None if address == "local" else address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EngineError(
            f"no Ray cluster at {address} ({reason})", "a running cluster", "`ray start --head`, or --cluster local"
        ) from error
    return ray
