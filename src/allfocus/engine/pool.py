"""Several engines of one model as one: each call goes to one that is free, so that none waits while there is work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from allfocus.engine.base import Engine, EngineInfo, Estimate


@dataclass(frozen=True)
class EngineUse:
    """What one engine of a pool has done so far.

    Attributes:
        first_px, first_s: pixels of its first call and the seconds that it took; its memory was allocated in that time.
        later_px, later_s: of all other calls that have ended.
        cpu_s: seconds of all cores in the calls that have ended.
        running_px: pixels of the call that it works on now, 0 where there is none.
        since: when that call began, by the pool's clock.
    """

    first_px: int = 0
    first_s: float = 0.0
    later_px: int = 0
    later_s: float = 0.0
    cpu_s: float = 0.0
    running_px: int = 0
    since: float = 0.0


class EnginePool:
    """Engines of one model with the same number of threads, used as one.

    Tiles of one photo may run on several of them at the same time, and which engine a tile runs on does not change
    its values. Networks for one size of tile (`FittingEngine`) are not used: photos of different sizes take turns
    here, and an engine that is changed from one size to another has to be loaded and to take its memory anew.

    Args:
        engines: at least one.
        clock: seconds, monotonic.
    """

    def __init__(self, engines: Sequence[Engine], clock: Callable[[], float] = time.monotonic) -> None:
        self._engines = tuple(engines)
        self._clock = clock
        self._free = list(range(len(self._engines)))
        self._changed = threading.Condition()
        self._uses = [EngineUse()] * len(self._engines)

    @property
    def at_once(self) -> int:
        """See `ParallelEngine.at_once`: one call for each engine."""
        return len(self._engines)

    @property
    def redone(self) -> int:
        """Of all engines together; see `Engine.redone`."""
        return sum(engine.redone for engine in self._engines)

    @property
    def info(self) -> EngineInfo:
        """Of one of the engines."""
        return self._engines[0].info

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`; waits until an engine is free."""
        pixels = batch.shape[0] * batch.shape[2] * batch.shape[3]
        with self._changed:
            self._changed.wait_for(lambda: self._free)
            index = self._free.pop()
            self._uses[index] = replace(self._uses[index], running_px=pixels, since=self._clock())
        engine, ended, cpu = self._engines[index], False, time.thread_time()
        try:
            found = engine.run(batch, pair)
            ended = True
            return found
        finally:
            cpu_s = (time.thread_time() - cpu) * engine.info.threads  # all of them work as long as this one
            with self._changed:
                self._uses[index] = _after(self._uses[index], self._clock(), cpu_s, counts=ended)
                self._free.append(index)
                self._changed.notify()

    def uses(self) -> tuple[EngineUse, ...]:
        """What each engine has done so far."""
        with self._changed:
            return tuple(self._uses)


def _after(use: EngineUse, now: float, cpu_s: float, *, counts: bool) -> EngineUse:
    """The use once the running call has ended; of one that failed only the processor's time counts."""
    pixels, seconds = use.running_px, now - use.since
    ended = replace(use, running_px=0, cpu_s=use.cpu_s + cpu_s)
    if not counts:
        return ended
    if not use.first_px:
        return replace(ended, first_px=pixels, first_s=seconds)
    return replace(ended, later_px=use.later_px + pixels, later_s=use.later_s + seconds)
