"""Where a run computes, and in which precision."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from allfocus.errors import OptionError
from allfocus.train.config import TrainConfig
from allfocus.train.launch import open_fabric, precision_here


@pytest.mark.parametrize(
    ("kind", "features", "wanted"),
    [
        ("cpu", (), "32-true"),
        ("cpu", ("avx2", "avx512f", "avx512_vnni"), "32-true"),
        ("cpu", ("avx512f", "avx512_bf16"), "bf16-mixed"),
        ("cpu", ("amx_tile", "amx_bf16"), "bf16-mixed"),
        ("cuda", (), "bf16-mixed"),
    ],
)
def test_auto_is_bfloat16_only_where_the_device_computes_in_it(
    kind: str, features: tuple[str, ...], wanted: str
) -> None:
    assert precision_here("auto", kind, features) == wanted


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_what_was_asked_for_is_taken(precision: str) -> None:
    assert precision_here(precision, "cpu", ()) == precision


def test_float16_on_a_cpu_is_refused() -> None:
    with pytest.raises(OptionError, match="16-mixed on a CPU; expected bf16-mixed or 32-true"):
        open_fabric(TrainConfig(precision="16-mixed"), "cpu")


COUNT = """
import ctypes, sys
from resource import RUSAGE_SELF, getrusage
from allfocus.train.launch import keep_freed_memory
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
