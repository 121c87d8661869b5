"""One service: its workers, its queue, and the tasks that keep both going."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from allfocus.scratch import ScratchFolder
from allfocus.web import protocol
from allfocus.web.jobs import Jobs
from allfocus.web.limits import Limits
from allfocus.web.problems import Refusal
from allfocus.web.process import WorkerDied, WorkerProcess
from allfocus.web.telemetry import Telemetry
from allfocus.weights import store


class Service:
    """The state of a service, from start to stop.

    A worker that was begun with this engine and precision may be given; it is closed with the service.
    """

    def __init__(
        self,
        limits: Limits,
        model: str = store.DEFAULT,
        engine: str = "auto",
        precision: str = "auto",
        worker: WorkerProcess | None = None,
    ) -> None:
        self.limits, self.model, self.name = limits, model, store.find(model).card.name
        self.telemetry = Telemetry()
        options = {"engine": engine, "precision": precision}
        self.worker = worker or WorkerProcess(options)
        self.worker.bytes_limit, self.worker.silent_seconds = limits.worker_bytes, limits.silent_seconds
        self.inspector = WorkerProcess(options, limits.worker_bytes, limits.silent_seconds)
        self.scratch = ScratchFolder.temporary()
        self.folder = self.scratch.path / "jobs"
        self.folder.mkdir()
        self.jobs = Jobs(limits, self.worker, self.folder, self.telemetry)
        self.loaded: dict[str, Any] | None = None
        self.refused: Refusal | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[None, None]:
        """Start workers and tasks; end them, and remove every file, when the block ends."""
        tasks = [asyncio.create_task(work) for work in (self._load(), self.jobs.sweep())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.worker.close()
            await self.inspector.close()
            self.scratch.close()

    def ready(self) -> dict[str, Any]:
        """The engine that runs. Refusal: 503, it is being loaded, cannot be loaded, or the service is about to end."""
        if self.jobs.draining:
            raise Refusal(503, "a service that is shutting down", "a running service", "again later")
        if self.loaded is None:
            raise self.refused or Refusal(503, "an engine that is being loaded", "a loaded one", "again in a second")
        return {"status": "ready", "model": self.name, "engine": self.loaded}

    def metrics(self) -> bytes:
        """The text for Prometheus."""
        jobs, telemetry = self.jobs, self.telemetry
        telemetry.waiting.set(len(jobs.queue) + jobs.coming + (jobs.running is not None))
        telemetry.deaths.set(self.worker.deaths + self.inspector.deaths)
        telemetry.worker_bytes.set(self.worker.resident_bytes())
        return telemetry.text()

    async def _load(self) -> None:
        """The engine first, then photo after photo."""
        with contextlib.suppress(WorkerDied):
            event, _ = await asyncio.gather(
                self.worker.answer(protocol.loading(self.model)),
                self.inspector.answer({"do": "inspect", "job": "warm", "photo": "", "pixels": 1, "name": ""}),
            )
            if event["is"] == "ready":
                self.loaded = event["engine"]
            else:
                self.refused = Refusal.from_json(event["problem"])
        await self.jobs.run()
