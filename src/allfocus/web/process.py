"""A worker process as the service sees it: requests go in, events come out, and a dead one is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from allfocus.web import protocol
from allfocus.web.protocol import Message

log = logging.getLogger("allfocus.web")
LINE_BYTES = 2**20
STOP_SECONDS = 5.0


class WorkerDied(Exception):
    """The process ended while it was working; the exit status, negative for a signal."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the worker ended with status {status}")
        self.status = status


class WorkerProcess:
    """One process that answers one request at a time; it is started when there is something to do.

    A process that holds more than `bytes_limit` after a request is replaced; one that says nothing for `silent_seconds`
    while it works is ended, as if it had died.
    """

    def __init__(self, options: Message, bytes_limit: int = sys.maxsize, silent_seconds: float = 180) -> None:
        self.options = options
        self.silent_seconds = silent_seconds
        self.bytes_limit = bytes_limit
        self.deaths = 0
        self.replaced = 0
        self._process: asyncio.subprocess.Process | None = None
        self._begun: Message | None = None
        self._turn = asyncio.Lock()

    async def begin(self, request: Message) -> None:
        """Start the process and send it a request before anybody waits; the next `ask` of the same gets its events."""
        await self._send(await self._running(), request)
        self._begun = request

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def ask(self, request: Message) -> AsyncGenerator[Message, None]:
        """Send one request and yield its events; the last one is of `protocol.LAST`.

        Closing the generator early ends the process: what it was doing is not wanted.

        Raises:
            WorkerDied: the process ended meanwhile; the next request gets a new one.
        """
        async with self._turn:
            process = await self._running()
            finished = False
            begun, self._begun = self._begun, None
            try:
                if request != begun:
                    await self._send(process, request)
                while not finished:
                    event = await self._event(process)
                    if event.get("job") == request["job"]:
                        finished = event["is"] in protocol.LAST
                        yield event
            finally:
                if not finished:
                    await self._end()
            if self.resident_bytes() > self.bytes_limit:
                self.replaced += 1
                await self._end()

    async def answer(self, request: Message) -> Message:
        """The last event of a request."""
        last: Message = {}
        async for event in self.ask(request):
            last = event
        return last

    async def cancel(self, job: str) -> None:
        """Ask the process to stop a job at its next tile."""
        if self._process is not None and self.pid is not None:
            with contextlib.suppress(ConnectionError, WorkerDied):
                await self._send(self._process, {"do": "cancel", "job": job})

    async def kill(self) -> None:
        """End the process at once; pending calls raise `WorkerDied`."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """End the process."""
        await self._end()

    def resident_bytes(self) -> int:
        """Memory that the process holds; 0 if unknown."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="utf-8").split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "allfocus.web.worker",
                json.dumps(self.options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES,
                start_new_session=True,  # a terminal's Ctrl-C is for the service, which decides what to finish
            )
        return self._process

    async def _send(self, process: asyncio.subprocess.Process, message: Message) -> None:
        assert process.stdin is not None  # it was started with a pipe
        try:
            process.stdin.write(protocol.line(message))
            await process.stdin.drain()
        except ConnectionError:
            raise await self._died(process) from None

    async def _event(self, process: asyncio.subprocess.Process) -> Message:
        assert process.stdout is not None  # it was started with a pipe
        try:
            async with asyncio.timeout(self.silent_seconds):
                text = await process.stdout.readline()
        except TimeoutError:
            await self.kill()
            text = b""
        if not text.endswith(b"\n"):
            raise await self._died(process)
        return json.loads(text)

    async def _died(self, process: asyncio.subprocess.Process) -> WorkerDied:
        status = await process.wait()
        self.deaths += 1
        self._process = None
        log.warning("a worker ended with status %d", status)
        return WorkerDied(status)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
