"""Loops of the classical methods, compiled by numba, and the number of their threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numba

MOST_THREADS = 4
"""Each thread of the deconvolution holds some 40 bytes a pixel of the photo."""


def available_threads() -> int:
    """The cores that this process may use, at most `MOST_THREADS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """A decorator like numba.njit that releases the interpreter lock and keeps what it compiled for the next process.

    Args:
        options: of numba.njit.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's cache can be written
            return numba.njit(nogil=True, **options)(function)

    return decorate
