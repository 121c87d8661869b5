"""Memory of large pictures, kept from one photo of a batch for the next.

Pages that are fresh have to be found and cleared by the kernel, and on a virtual machine maybe by its host as well,
which takes longer than what is written into them.
"""

from __future__ import annotations

import mmap
import sys
import threading
import weakref
from contextlib import suppress

import numpy as np

LEAST_BYTES = 2**18
FITTING = 2
"""A block given out is at most so many times as large as was asked for."""
LARGER = 1.125
"""All that are held are at most so many times as large as those in use at one time."""


class MemoryPool:
    """Blocks of zeros; once told to keep them, those that nobody uses any more are given out again.

    What it holds is bounded by what has been in use at one time (`LARGER`); the blocks freed first go.
    """

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []
        self._used = self._most = 0  # bytes in use now, and at one time
        self._keeps = False
        self._lock = threading.RLock()  # while it is held, garbage may be collected that gives back a block

    def keep(self) -> None:
        """From now on, blocks are kept: for a process that restores one photo after another."""
        self._keeps = True

    def zeros(self, size: int, *, cleared: bool = True) -> np.ndarray:
        """(size,) uint8. Its memory is in use as long as it, or an array or buffer made of it, is.

        Not `cleared`, it may hold what another picture left there, and whoever asked writes all of it.
        """
        if size < LEAST_BYTES:
            return np.frombuffer(_fresh(size), np.uint8)
        kept = self._taken(size)
        block = _fresh(size) if kept is None else kept
        array = np.frombuffer(block, np.uint8, size)
        if kept is not None and cleared:
            array.fill(0)
        weakref.finalize(array, self._give_back, block).atexit = False
        return array

    def _taken(self, size: int) -> mmap.mmap | None:
        """The smallest free block that fits; None if there is none, with room made for a new one."""
        with self._lock:
            fitting = [block for block in self._free if size <= len(block) <= FITTING * size]
            block = min(fitting, key=len, default=None)
            if block is not None:
                self._free = [other for other in self._free if other is not block]
            self._used += size if block is None else len(block)
            self._most = max(self._most, self._used)
            self._bound()
            return block

    def _give_back(self, block: mmap.mmap) -> None:
        with self._lock:
            self._used -= len(block)
            if self._keeps:
                self._free.append(block)
                self._bound()

    def _bound(self) -> None:
        while self._free and self._used + sum(map(len, self._free)) > LARGER * self._most:
            del self._free[0]


def _fresh(size: int) -> mmap.mmap:
    """Unlike numpy's own zeros it takes memory only where something is written."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    zeros = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            zeros.madvise(mmap.MADV_HUGEPAGE)
    return zeros


POOL = MemoryPool()
"""Of the canvases that lie in memory."""
