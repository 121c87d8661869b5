"""Loops of the classical methods, compiled by numba, and the number of their threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from allfocus.engine.processor import Processor

MOST_THREADS = 4
"""Each thread of the deconvolution holds some 40 bytes a pixel of the photo."""


def available_threads() -> int:
    """The threads that this process may use, at most `MOST_THREADS`."""
    return min(Processor.here().threads, MOST_THREADS)


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """`numba.njit` with these options that releases the interpreter lock and caches what it compiled on disk."""

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's cache can be written
            return numba.njit(nogil=True, **options)(function)

    return decorate
