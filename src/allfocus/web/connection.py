"""One connection: a client that sends no request, or reads no answer, is cut off, and gives its place back; one that is
refused in the middle of a body hears why.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from allfocus.web.limits import Limits
from allfocus.web.problems import MEDIA_TYPE, Refusal

LINGER_SECONDS = 2.0


class Connection(H11Protocol):
    """uvicorn's connection with three more ends than its own.

    A request whose headers do not end within `idle_seconds` is answered with 408, and a client that reads nothing of an
    answer for `reader_seconds` is cut off. (`upload.receive` sees to a body that stops.) After an answer that comes
    before the end of the body, the rest is read and dropped for `LINGER_SECONDS`: closing at once would reset the
    connection, and the client would lose the answer (RFC 9112, 9.6).
    """

    def __init__(self, *, limits: Limits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.limits = limits
        self._head: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(Lingering(transport, self))  # type: ignore[arg-type]
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.transport.is_closing():
            return  # what a refused client goes on sending
        super().data_received(data)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._head = _stopped(self._head)
        self._reader = _stopped(self._reader)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        super().pause_writing()
        self._reader = self.loop.call_later(self.limits.reader_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._reader = _stopped(self._reader)
        super().resume_writing()

    def _await_head(self) -> None:
        """The clock runs from the connection, or from the first byte after an answer, to the end of the headers."""
        if self.conn.their_state is not h11.IDLE:
            self._head = _stopped(self._head)
        elif self._head is None:
            self._head = self.loop.call_later(self.limits.idle_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head = None
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE or self.conn.our_state is not h11.IDLE:
            return
        refusal = Refusal(
            408,
            "a request without an end of its headers",
            f"one within {self.limits.idle_seconds:g} s",
            "send it again",
        )
        body = json.dumps(refusal.to_json()).encode()
        headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        for event in (
            h11.Response(status_code=408, headers=headers, reason=b"Request Timeout"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Lingering:
    """A transport that is closed gently while its client is still sending."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport, self._connection, self._lingering = transport, connection, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """See asyncio.Transport."""
        return self._lingering or self._transport.is_closing()

    def close(self) -> None:
        """Say that nothing more comes, and leave the client a moment to read what was said."""
        if self.is_closing():
            return
        if self._connection.conn.their_state not in (h11.SEND_BODY, h11.ERROR):
            self._transport.close()
            return
        self._lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._connection.loop.call_later(LINGER_SECONDS, self._transport.close)


def _stopped(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
