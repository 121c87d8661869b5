"""Memory of large arrays that is used again while a batch runs: a fresh page costs more than what is computed in it.

`allocator.py` does the same for what libraries allocate, which has too many sizes there to find large blocks again.
"""

from __future__ import annotations

import math
import mmap
import threading
from collections import deque

import numpy as np

LEAST_BYTES = 2**20
LOOSE = 2  # times as much as is asked for may be lent


class Reused:
    """Blocks of memory, lent as arrays and kept when the last view of one is gone. Any thread may borrow."""

    def __init__(self) -> None:
        self._room = 0
        self._free: deque[np.ndarray] = deque()
        self._lending = threading.Lock()

    def keep(self, room: int) -> None:
        """Keep so many bytes from now on; nothing with 0, as at first."""
        self._room = room
        if not room:
            self._free.clear()

    def zeros(self, size: int) -> np.ndarray | None:
        """(size,) uint8, or None where nothing is kept or so little is not worth it."""
        found = self._lent(size)
        if found is None:
            return None
        array, used = found
        if used:
            array.fill(0)
        return array

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """float32 with any values; new memory where nothing is kept."""
        found = self._lent(4 * math.prod(shape))
        return np.empty(shape, np.float32) if found is None else found[0].view(np.float32).reshape(shape)

    def _lent(self, size: int) -> tuple[np.ndarray, bool] | None:
        """(size,) uint8, and whether it may hold anything."""
        if not self._room or size < LEAST_BYTES:
            return None
        with self._lending:
            free = [self._free.popleft() for _ in range(len(self._free))]
            fitting = [index for index, block in enumerate(free) if size <= block.size <= LOOSE * size]
            best = min(fitting, key=lambda index: free[index].size, default=None)
            block = None if best is None else free.pop(best)
            kept = 0
            for other in reversed(free):  # the newest first
                kept += other.size
                if kept <= self._room:
                    self._free.appendleft(other)
        fresh = np.frombuffer(mmap.mmap(-1, size), np.uint8) if block is None else block
        return np.asarray(_Loan(self, fresh))[:size], block is not None

    def _back(self, block: np.ndarray) -> None:
        """Called by whatever thread drops the last view, at any time: it must not wait for a lock."""
        if self._room:
            self._free.append(block)


class _Loan:
    """What the views of a lent block stand on; it ends with the last of them."""

    def __init__(self, owner: Reused, block: np.ndarray) -> None:
        self.__array_interface__ = block.__array_interface__
        self._owner, self._block = owner, block

    def __del__(self) -> None:
        self._owner._back(self._block)


REUSED = Reused()
"""Of this process."""
