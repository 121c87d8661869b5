"""Freed memory is kept where the C library can."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys
from resource import RUSAGE_SELF, getrusage
from allfocus.allocator import keep_freed_memory
kind, size = sys.argv[1], int(sys.argv[2]) * 2**20
if kind != "default":
    assert keep_freed_memory(large=kind == "all")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
before = getrusage(RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks = [libc.malloc(size) for _ in range(2)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks:
        libc.free(block)
print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
@pytest.mark.parametrize(("kind", "mebibytes"), [("all", 64), ("small", 16)])
def test_a_block_that_comes_back_has_its_pages_already(kind: str, mebibytes: int) -> None:
    line = [sys.executable, "-c", COUNT]
    faults = [
        int(subprocess.run([*line, name, str(mebibytes)], check=True, capture_output=True, text=True).stdout)
        for name in ("default", kind)
    ]
    assert faults[1] < faults[0] / 5
