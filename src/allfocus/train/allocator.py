"""Keeps freed memory in the process: on some machines fresh pages cost a CPU training step more than its arithmetic."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of glibc's mallopt(3)
_STEP_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed, and to take no large block straight from the kernel.

    Every activation of a network is a block of megabytes. By default glibc maps each one afresh and gives it back at
    once, so that every step writes to pages that the kernel has to find and clear first. What that costs depends on the
    machine and on its state: `benchmarks/allocator.py` measures it.

    Returns:
        Whether it was granted; False where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _STEP_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
