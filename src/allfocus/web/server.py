"""The server: uvicorn with our limits and a graceful shutdown."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from functools import partial
from types import FrameType

import uvicorn

from allfocus.errors import OutputError
from allfocus.web.app import create_app
from allfocus.web.connection import Connection
from allfocus.web.limits import check_reach
from allfocus.web.service import Service

log = logging.getLogger("allfocus.web")


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address. OutputError: the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise OutputError(f"{host}:{port} is not available ({error.strerror})", "a free port", "--port 0") from None
    listener.listen(128)
    return listener


async def serve(service: Service, host: str, port: int) -> None:
    """Answer requests until SIGTERM or Ctrl-C; the second one ends at once.

    Raises:
        OptionError: an address that others reach, without a token.
        OutputError: the address cannot be listened on.
    """
    limits = service.limits
    check_reach(host, limits.token)
    listener = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    print(f"allfocus: http://{shown}:{listener.getsockname()[1]}/  (Ctrl-C ends)", flush=True)
    await Patient(configured(service), service).serve(sockets=[listener])


def configured(service: Service) -> uvicorn.Config:
    """uvicorn with the limits of a service."""
    return uvicorn.Config(
        create_app(service),
        http=partial(Connection, limits=service.limits),  # type: ignore[arg-type]
        limit_concurrency=service.limits.connections,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        log_level="warning",
        server_header=False,
        access_log=False,
        lifespan="on",
        ws="none",
    )


class Patient(uvicorn.Server):
    """A server that, on a signal, refuses new photos, finishes the current one, and then exits."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn; runs as a signal handler."""
        loop = getattr(self, "_loop", None)
        if loop is None or self.service.jobs.draining:
            super().handle_exit(sig, frame)
            return
        self.service.jobs.draining = True
        log.warning("%s: finishing what runs, refusing what comes", signal.Signals(sig).name)
        loop.call_soon_threadsafe(self._start_draining)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def _start_draining(self) -> None:
        self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        await self.service.jobs.drain()
        self.should_exit = True
