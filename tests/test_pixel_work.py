"""Turns at working on pixels."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from allfocus.pixel_work import AT_ONCE, in_turn


def test_no_more_threads_than_that_work_at_a_time() -> None:
    full, inside, most, counting = threading.Barrier(AT_ONCE), 0, 0, threading.Lock()

    def job(number: int) -> int:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        full.wait(60)  # until as many are here as may be
        with counting:
            inside -= 1
        return number

    with ThreadPoolExecutor(4 * AT_ONCE) as workers:
        assert list(workers.map(in_turn(job), range(8 * AT_ONCE))) == list(range(8 * AT_ONCE))
    assert most == AT_ONCE


def test_a_failure_gives_the_turn_back() -> None:
    def fail() -> None:
        raise ValueError

    for _ in range(AT_ONCE + 1):
        with pytest.raises(ValueError):
            in_turn(fail)()
