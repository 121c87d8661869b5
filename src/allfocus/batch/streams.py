"""What a batch computes with on one machine: how many engines of how many threads, and memory that is kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from allfocus.allocator import keep_freed_memory
from allfocus.batch.work import Order
from allfocus.deblurrer import Deblurrer
from allfocus.engine.processor import Processor
from allfocus.photo.memory_pool import POOL

MOST = 8
MEMORY_MB = 1500.0
"""The most that an engine and its share of the photos in flight need."""

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")


def keep_memory() -> None:
    """What one photo has freed is kept for the next: for processes that restore one after another."""
    keep_freed_memory(large=False)
    POOL.keep()


def threads_of_each(threads: int, photos: int, memory_mb: float) -> list[int]:
    """The threads of each stream, all alike: one on up to `MOST` cores, then more.

    Two engines of one thread do more than one of two (results/batch.json): threads of one engine wait for each other
    after every layer, and while a photo is read or written they have nothing to do.

    Args:
        threads: of the machine that may be used.
        photos: to do; there are no more streams than photos.
        memory_mb: that is free.

    >>> threads_of_each(2, 100, 16_000), threads_of_each(12, 100, 64_000), threads_of_each(4, 100, 4_000)
    ([1, 1], [2, 2, 2, 2, 2, 2], [2, 2])
    >>> threads_of_each(4, 1, 16_000)
    [4]
    """
    most = threads // -(-threads // MOST)
    count = max(1, min(most, photos, int(memory_mb // MEMORY_MB)))
    return [threads // count] * count


def streams(order: Order, photos: int, known: int | None = None) -> list[Deblurrer]:
    """The engines for a batch, loaded; each has the same number of threads.

    Args:
        order: says which.
        photos: to do.
        known: threads of each engine when the batch was begun (`Journal.threads`): with as many the results have the
            same bytes.

    Raises:
        AllfocusError: see `Deblurrer`.
    """
    threads = Processor.here().threads
    if known is not None:
        return _loaded(order, [known] * _most(threads // known))
    return _loaded(order, threads_of_each(threads, photos, free_memory_mb()))


def arrival_streams(order: Order, count: int, known: int | None = None) -> list[Deblurrer]:
    """The engines for photos that arrive one by one, loaded; each has the same number of threads.

    Args:
        order: says which.
        count: of engines. A single one has every core, so that a photo is done soonest; several do more in an hour.
        known: as in `streams`; goes before `count`.

    Raises:
        AllfocusError: see `Deblurrer`.
    """
    threads = Processor.here().threads
    count = _most(min(count, threads) if known is None else threads // known)
    return _loaded(order, [known or threads // count] * count)


def _most(wanted: int) -> int:
    """As many engines as are wanted, but no more than memory has room for."""
    return max(1, min(wanted, int(free_memory_mb() // MEMORY_MB)))


def _loaded(order: Order, each: Sequence[int]) -> list[Deblurrer]:
    first = order.deblurrer(each[0])
    if first.engine.info.name == "torch":  # one number of threads for the whole process, or a GPU
        return [first]
    return [first, *(order.deblurrer(threads) for threads in each[1:])]


def free_memory_mb(meminfo: Path = MEMINFO, limit: Path = CGROUP) -> float:
    """Memory that may be had now: the system's, or the container's limit where that is less."""
    free = float("inf")
    if meminfo.is_file():
        fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines() if ":" in line)
        if "MemAvailable" in fields:
            free = int(fields["MemAvailable"].split()[0]) * 1024 / 1e6
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2e6
    if limit.is_file() and (text := limit.read_text(encoding="utf-8").strip()).isdecimal():
        free = min(free, int(text) / 1e6)
    return free if free != float("inf") else 2 * MEMORY_MB
