"""How many threads of a process work on pixels at a time, in Python.

Such work is many short steps, and each gives Python's lock back while numpy computes. With more threads than cores, as
a batch has, a third of the time goes into passing that lock from one to another (`benchmarks/speed_trials.json`).
Measured on two cores; that a quarter of many cores can share the lock is an assumption.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from allfocus.engine.processor import Processor

AT_ONCE = max(2, Processor.here().threads // 4)
TURN = threading.Semaphore(AT_ONCE)
"""Held for a block of pixels at most, and never while waiting for a network."""

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def in_turn(job: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """The same function, holding `TURN`."""

    @wraps(job)
    def in_its_turn(*given: _Given.args, **named: _Given.kwargs) -> _Found:
        with TURN:
            return job(*given, **named)

    return in_its_turn
