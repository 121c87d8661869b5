"""A watched folder: each photo is processed once its file is complete, in order of arrival."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from allfocus.errors import InputError, OptionError
from allfocus.inputs import MADE_HERE
from allfocus.photo.formats import PHOTO_EXTENSIONS

POLL_S, QUIET_S = 0.1, 0.5
BACKLOG, KEPT_LATENCIES = 1000, 10_000
"""The most photos that wait; the number of latest photos that the percentiles cover."""


@dataclass(frozen=True)
class Arrival:
    """A photo whose file is complete.

    Attributes:
        path: where it lies.
        since: when it was first seen, in seconds of the monotonic clock.
    """

    path: Path
    since: float


@dataclass
class Sight:
    """The last observed state of a file that may still be growing."""

    size: int
    modified: int
    changed: float
    since: float


@dataclass
class Latencies:
    """Seconds from first sight to result, of the last photos."""

    kept: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))

    def add(self, seconds: float) -> None:
        """Record a latency."""
        self.kept.append(seconds)

    def percentile(self, share: float) -> float:
        """The latency that `share` (0 to 1) of the photos did not exceed; 0 where there are none.

        >>> latencies = Latencies()
        >>> for seconds in range(1, 101): latencies.add(seconds)
        >>> latencies.percentile(0.5), latencies.percentile(0.99)
        (50, 99)
        """
        if not self.kept:
            return 0.0
        ordered = sorted(self.kept)
        return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


class Arrivals:
    """Polls a folder; a file is complete once its size and time have not changed for a while.

    Polled rather than notified: the same on every system and on network file systems, where notices do not come.

    Args:
        folder: searched to the bottom, but not hidden folders.
        out: results; what lies there is never taken for a photo.
        quiet_s: how long a file has to rest. A camera that writes in bursts with longer pauses needs more.
        backlog: complete photos that may wait; others are queued when there is room, so that memory is bounded.
        clock: seconds, monotonic.

    Raises:
        InputError: no such folder.
        OptionError: a folder inside its own output.
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        *,
        quiet_s: float = QUIET_S,
        backlog: int = BACKLOG,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder", "an existing folder to watch", "make it first")
        if quiet_s < 0 or backlog < 1:
            raise OptionError(f"quiet {quiet_s:g} s, backlog {backlog}", "0 or more, 1 or more", "the defaults")
        self.folder, self.out = folder.resolve(), out.resolve()
        if self.folder == self.out or self.folder.is_relative_to(self.out):
            raise OptionError(f"results of {folder} in {out}", "another folder for the results", "-o sharp/")
        self.quiet_s, self.backlog, self.clock = quiet_s, backlog, clock
        self.waiting: deque[Arrival] = deque()
        self.held_back = 0
        self._sights: dict[Path, Sight] = {}
        self._taken: dict[Path, tuple[int, int]] = {}

    def look(self) -> int:
        """Scan the folder once.

        Returns:
            How many photos became complete.
        """
        now, seen, new = self.clock(), set(), 0
        self.held_back = 0
        for path in self._files():
            try:
                found = path.stat()
            except OSError:  # gone again
                continue
            seen.add(path)
            state = (found.st_size, found.st_mtime_ns)
            if self._taken.get(path) == state:
                continue
            sight = self._sights.get(path)
            if sight is None:
                self._sights[path] = sight = Sight(*state, changed=now, since=now)
            elif (sight.size, sight.modified) != state:
                sight.size, sight.modified, sight.changed = *state, now
            if found.st_size == 0 or now - sight.changed < self.quiet_s:
                continue
            if len(self.waiting) >= self.backlog:
                self.held_back += 1
                continue
            self.waiting.append(Arrival(path, sight.since))
            self._taken[path] = state
            del self._sights[path]
            new += 1
        for gone in self._sights.keys() - seen:
            del self._sights[gone]
        for gone in self._taken.keys() - seen:
            del self._taken[gone]
        return new

    def take(self, most: int) -> list[Arrival]:
        """The photos that have waited longest."""
        return [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]

    def _files(self) -> Iterator[Path]:
        for name, folders, files in os.walk(self.folder):
            root = Path(name)
            folders[:] = sorted(name for name in folders if not name.startswith(".") and root / name != self.out)
            for name in sorted(files):
                path = root / name
                made_here = Path(path.stem).suffix in MADE_HERE
                if path.suffix.lower() in PHOTO_EXTENSIONS and not name.startswith(".") and not made_here:
                    yield path
