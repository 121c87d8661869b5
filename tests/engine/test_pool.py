"""Several engines as one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from allfocus.engine.base import Estimate, FittingEngine, ParallelEngine
from allfocus.engine.pool import EnginePool, EngineUse
from allfocus.errors import EngineMemoryError
from engines import LocalEngine

BATCH = np.full((1, 3, 32, 48), 0.5, np.float32)


class Clock:
    """Seconds that pass only when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Taking(LocalEngine):
    """Every call takes some seconds of a clock."""

    def __init__(self, clock: Clock, seconds: list[float], memory_px: int = 10_000) -> None:
        super().__init__(memory_px=memory_px)
        self.clock, self.seconds = clock, seconds

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        self.clock.now += self.seconds.pop(0)
        return super().run(batch, pair)


def test_as_many_calls_at_once_as_engines_and_no_more() -> None:
    meeting, busy, most = threading.Barrier(3, timeout=20), [0], [0]
    lock = threading.Lock()

    class Meeting(LocalEngine):
        def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
            meeting.wait()
            with lock:
                busy[0] -= 1
            return super().run(batch, pair)

    pool = EnginePool([Meeting(), Meeting(), Meeting()])
    with ThreadPoolExecutor(6) as callers:
        found = list(callers.map(pool.run, [BATCH] * 6))
    assert pool.at_once == most[0] == 3 and len(found) == 6
    assert isinstance(pool, ParallelEngine) and not isinstance(pool, FittingEngine)


def test_what_an_engine_did_is_counted_its_first_call_apart() -> None:
    clock = Clock()
    pool = EnginePool([Taking(clock, [3.0, 1.0, 2.0])], clock)
    assert pool.uses() == (EngineUse(),)
    for _ in range(3):
        pool.run(BATCH)
    (use,) = pool.uses()
    area = 32 * 48
    assert (use.first_px, use.first_s, use.later_px, use.later_s, use.running_px) == (area, 3.0, 2 * area, 3.0, 0)


def test_a_running_call_is_seen_from_its_begin() -> None:
    clock, seen = Clock(), []

    class Looking(LocalEngine):
        def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
            seen.extend(pool.uses())
            return super().run(batch, pair)

    pool = EnginePool([Looking()], clock)
    pool.run(BATCH)
    assert seen == [EngineUse(running_px=32 * 48, since=100.0)]


def test_an_engine_that_fails_is_free_again_and_its_call_does_not_count() -> None:
    clock = Clock()
    pool = EnginePool([Taking(clock, [1.0, 1.0], memory_px=40)], clock)
    with pytest.raises(EngineMemoryError):
        pool.run(np.zeros((1, 3, 64, 64), np.float32))
    (use,) = pool.uses()
    assert (use.first_px, use.later_px, use.running_px) == (0, 0, 0)
    assert pool.run(BATCH).residual.shape == (1, 3, 32, 48)
