"""Stopping with Ctrl-C or SIGTERM: raised as an exception, so that unfinished files are removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """The signal of this number has arrived; not an `Exception`, so that it does not count as a failure of a photo."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)

    @property
    def name(self) -> str:
        """As in "SIGINT"."""
        return signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended."""
        return 128 + self.number


_pending: int | None = None


@contextmanager
def stoppable() -> Iterator[None]:
    """While this lasts, the signals raise `Stopped`; those that the caller ignores (nohup, &) stay ignored."""
    global _pending
    _pending = None
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def check_stopped() -> None:
    """Raise `Stopped` if a signal has come whose exception got lost, as in a callback of a C library."""
    if _pending is not None:
        raise Stopped(_pending)


def _raise(number: int, frame: FrameType | None) -> None:
    global _pending
    _pending = number
    raise Stopped(number)
