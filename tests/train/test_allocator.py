"""Freed memory is kept where the C library can."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys
from resource import RUSAGE_SELF, getrusage
from allfocus.train.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
before = getrusage(RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = libc.malloc(64 * 2**20)
    ctypes.memset(block, 1, 64 * 2**20)
    libc.free(block)
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_a_block_that_comes_back_has_its_pages_already() -> None:
    faults = {
        name: int(
            subprocess.run([sys.executable, "-c", COUNT, name], check=True, capture_output=True, text=True).stdout
        )
        for name in ("default", "kept")
    }
    assert faults["kept"] < faults["default"] / 5
