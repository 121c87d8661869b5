"""Keeps freed memory in the process: on some machines fresh pages cost more than the arithmetic done in them."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8  # of glibc's mallopt(3)
_STEP_BYTES = 256 * 2**20
_LARGEST_BYTES = 2**25  # glibc allows no more
_ARENAS = 2  # else every thread keeps what it freed for itself


def keep_freed_memory(*, large: bool = True) -> bool:
    """Ask glibc to keep what is freed.

    Activations of a network and strips of a photo are blocks of up to some megabytes. By default glibc maps each one
    afresh and gives it back at once, so that every step writes to pages that the kernel has to find and clear first.
    What that costs depends on the machine and on its state: `benchmarks/allocator.py` measures it for training.

    Args:
        large: also blocks above 32 MiB, as training needs them; without them, some 256 MB at the most are kept.

    Returns:
        Whether it was granted; False where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    if large:
        settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _STEP_BYTES))
    else:
        settings = ((_MMAP_THRESHOLD, _LARGEST_BYTES), (_TRIM_THRESHOLD, _STEP_BYTES), (_ARENA_MAX, _ARENAS))
    return all(mallopt(name, value) == 1 for name, value in settings)
