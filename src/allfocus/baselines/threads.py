"""How many threads the classical methods work on."""

from __future__ import annotations

import os

MOST = 4
"""Each thread of the deconvolution holds some 40 bytes a pixel of the photo."""


def available() -> int:
    """The cores that this process may use, at most `MOST`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST)
