"""Photos that wait, run or are done: a bounded queue in front of one worker, one folder per job, and their expiry."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from allfocus.web.limits import Limits
from allfocus.web.problems import Refusal
from allfocus.web.process import WorkerDied, WorkerProcess
from allfocus.web.protocol import Message
from allfocus.web.telemetry import Telemetry
from allfocus.web.upload import Upload

log = logging.getLogger("allfocus.web")
State = Literal["queued", "running", "done", "failed", "cancelled"]
OVER = ("done", "failed", "cancelled")
FIRST_GUESS_SECONDS = 5.0
SWEEP_SECONDS = 2.0
CANCEL_SECONDS = 10.0


@dataclass(eq=False)
class Job:
    """One photo from upload to result: `events` is what happened, from the first on; `problem` why it has no result."""

    id: str
    folder: Path
    request: Message
    upload: Upload
    state: State = "queued"
    events: list[Message] = field(default_factory=list)
    result: Path | None = None
    facts: Message | None = None
    problem: Refusal | None = None
    created: float = field(default_factory=time.monotonic)
    finished: float | None = None
    listeners: int = 0
    left: float | None = None
    collected: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def over(self) -> bool:
        """Nothing more will happen to it."""
        return self.state in OVER

    async def tell(self, event: Message) -> None:
        """Add an event and notify the listeners."""
        async with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    async def follow(self, after: int = 0) -> AsyncGenerator[tuple[int, Message] | None, None]:
        """Events from one on, with their numbers, to the last; None where nothing happened for a while."""
        self.listeners += 1
        self.left = None
        try:
            while True:
                while after < len(self.events):
                    after += 1
                    yield after, self.events[after - 1]
                if self.over:
                    return
                async with self.changed:
                    if after == len(self.events) and not self.over:
                        try:
                            async with asyncio.timeout(15):
                                await self.changed.wait()
                        except TimeoutError:
                            pass
                if after == len(self.events) and not self.over:
                    yield None
        finally:
            self.listeners -= 1
            self.left = time.monotonic()

    async def end(self) -> None:
        """Wait until it is over."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.over)


class Jobs:
    """The queue, its worker, and the finished jobs until they expire; `folder` has one folder for each job."""

    def __init__(self, limits: Limits, worker: WorkerProcess, folder: Path, telemetry: Telemetry) -> None:
        self.limits, self.worker, self.folder, self.telemetry = limits, worker, folder, telemetry
        self.known: dict[str, Job] = {}
        self.queue: deque[Job] = deque()
        self.running: Job | None = None
        self.coming = 0
        self.draining = False
        self._seconds = FIRST_GUESS_SECONDS
        self._work = asyncio.Event()

    @contextlib.contextmanager
    def place(self) -> Iterator[Path]:
        """A place in the queue and a folder for the upload, before any of it is read; given back unless it is used.

        Raises:
            Refusal: 429 no place or no disk left, 503 the service is about to end.
        """
        if self.draining:
            raise Refusal(503, "a request while the service shuts down", "a running service", "again later", _after(10))
        taken = len(self.queue) + self.coming + (self.running is not None)
        if taken > self.limits.queue:
            seconds = max(1, round(self._seconds * taken))
            raise Refusal(
                429,
                f"{taken} photos before yours",
                f"at most {self.limits.queue} that wait",
                f"again in {seconds} s",
                _after(seconds),
            )
        if self.stored_bytes() > self.limits.stored_bytes:
            raise Refusal(429, "no disk left for the photo", "fetched or deleted jobs", "again later", _after(30))
        self.coming += 1
        folder = self.folder / secrets.token_urlsafe(12)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            self.coming -= 1
            if folder.name not in self.known:
                shutil.rmtree(folder, ignore_errors=True)

    async def submit(self, folder: Path, upload: Upload, request: Message) -> Job:
        """Put a photo into the queue; call it while holding the `place` that gave the folder."""
        job = Job(folder.name, folder, {**request, "job": folder.name, "folder": str(folder)}, upload)
        self.known[job.id] = job
        self.queue.append(job)
        await job.tell({"is": "queued", "before": len(self.queue) - 1 + (self.running is not None)})
        self._work.set()
        return job

    def find(self, id: str) -> Job:
        """A job by its id. Refusal: 404, it never was or has expired."""
        job = self.known.get(id)
        if job is None:
            raise Refusal(404, "no job of this id", f"one of the last {self.limits.keep_seconds:g} s", "send it again")
        if job.listeners == 0 and job.left is not None:
            job.left = time.monotonic()  # asking after it is a sign of life
        return job

    async def cancel(self, job: Job) -> None:
        """Stop a job, wherever it is; what is over stays as it is."""
        if job in self.queue:
            self.queue.remove(job)
            await self._over(job, "cancelled")
        elif job is self.running:
            await self.worker.cancel(job.id)
            try:
                await asyncio.wait_for(job.end(), CANCEL_SECONDS)
            except TimeoutError:
                await self.worker.kill()

    async def forget(self, job: Job) -> None:
        """Drop a job that is over, with its files."""
        self.known.pop(job.id, None)
        shutil.rmtree(job.folder, ignore_errors=True)

    def stored_bytes(self) -> int:
        """What all uploads and results take on disk."""
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(OSError):  # the worker renames and removes files meanwhile
                    total += (Path(folder) / name).stat().st_size
        return total

    async def run(self) -> None:
        """Work through the queue, for ever."""
        while True:
            while not self.queue:
                self._work.clear()
                await self._work.wait()
            job = self.running = self.queue.popleft()
            job.state = "running"
            started = time.monotonic()
            try:
                await self._restore(job)
            except Exception as error:
                log.exception("a job failed in the service itself")
                job.problem = Refusal(500, f"{type(error).__name__} in the service", "a result", "report it")
                await self._over(job, "failed")
            finally:
                self.running = None
            self._seconds += 0.3 * (time.monotonic() - started - self._seconds)
            self.telemetry.job(job.state, time.monotonic() - started)

    async def sweep(self) -> None:
        """Repeatedly stop abandoned jobs and remove expired ones."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for job in list(self.known.values()):
                if job.over:
                    if job.finished is not None and now - job.finished > self.limits.keep_seconds:
                        await self.forget(job)
                elif job.listeners == 0 and job.left is not None and now - job.left > self.limits.leave_seconds:
                    await self.cancel(job)

    async def drain(self) -> None:
        """Refuse what comes and what waits; return when what runs is done and fetched, or `drain_seconds` are over."""
        self.draining = True
        while self.queue:
            job = self.queue.popleft()
            job.problem = Refusal(
                503, "a service that is about to end", "a service that goes on", "again later", _after(10)
            )
            await self._over(job, "failed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.limits.drain_seconds):
                last = self.running
                if last is not None:
                    await last.end()
                    while last.id in self.known and last.state == "done" and not last.collected:
                        await asyncio.sleep(0.1)

    async def _restore(self, job: Job) -> None:
        try:
            async with asyncio.timeout(self.limits.job_seconds):
                async for event in self.worker.ask(job.request):
                    if event["is"] == "done":
                        job.result = job.folder / event["result"]
                        job.facts = event["facts"]
                        job.upload.photo.unlink(missing_ok=True)
                        await self._over(job, "done")
                    elif event["is"] == "failed":
                        job.problem = Refusal.from_json(event["problem"])
                        await self._over(job, "failed")
                    elif event["is"] == "cancelled":
                        await self._over(job, "cancelled")
                    else:
                        await job.tell({key: value for key, value in event.items() if key != "job"})
        except TimeoutError:
            await self._fail(
                job,
                504,
                f"{self.limits.job_seconds:g} s without a result",
                "a photo that is done in time",
                "a smaller photo, or ALLFOCUS_SERVE_JOB_SECONDS",
            )
        except WorkerDied as death:
            if job.id in self.known:
                await self._fail(
                    job,
                    500,
                    f"a worker that ended with status {death.status}",
                    "a result",
                    "another file; report this one",
                )

    async def _fail(self, job: Job, *problem: object) -> None:
        job.problem = Refusal(*problem)  # type: ignore[arg-type]
        await self._over(job, "failed")

    async def _over(self, job: Job, state: State) -> None:
        job.finished = time.monotonic()
        async with job.changed:
            job.state = state
            event: Message = {"is": state}
            if job.facts is not None:
                event["facts"] = job.facts
            if job.problem is not None:
                event["problem"] = job.problem.to_json()
            job.events.append(event)
            job.changed.notify_all()
        if state != "done":
            shutil.rmtree(job.folder, ignore_errors=True)


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
