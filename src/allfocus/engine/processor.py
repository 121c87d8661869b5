"""The processor: its name, its relevant instruction sets, and the number of threads."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from allfocus.errors import OptionError

TELLING = (
    "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16",
    "amx_tile", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm",
)  # fmt: skip
_EIGHT_BIT = ("avx_vnni", "avx512_vnni", "amx_int8")
_ARM = ("arm", "aarch")
THREADS_VARIABLE = "ALLFOCUS_THREADS"
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Processor:
    """What this process may use.

    Attributes:
        name: as the system gives it.
        threads: hardware threads that the process is allowed; the variable `ALLFOCUS_THREADS` allows fewer.
        features: instruction sets that decide an engine's speed, of those in `TELLING`; empty where the system does
            not list them.
    """

    name: str
    threads: int
    features: tuple[str, ...]

    @property
    def multiplies_int8(self) -> bool:
        """Whether it multiplies and sums 8-bit integers exactly and fast (VNNI, AMX); False where that is unknown."""
        return any(feature in self.features for feature in _EIGHT_BIT)

    @classmethod
    def here(cls, cpuinfo: Path = _CPUINFO) -> Processor:
        """The processor of this machine."""
        fields: dict[str, str] = {}
        if cpuinfo.is_file():
            for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
                key, _, value = line.partition(":")
                fields.setdefault(key.strip().lower(), value.strip())
        flags = set((fields.get("flags") or fields.get("features") or "").split())
        name = fields.get("model name") or platform.processor() or platform.machine()
        return cls(name, _threads(), tuple(feature for feature in TELLING if feature in flags))


def is_arm() -> bool:
    """Whether this is an ARM processor."""
    return platform.machine().lower().startswith(_ARM)


def threads_wanted() -> int | None:
    """The variable `ALLFOCUS_THREADS`: how many threads an engine is to compute with; None leaves it to the engine.

    Raises:
        OptionError: it is not a whole number above 0.
    """
    text = os.environ.get(THREADS_VARIABLE)
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"{THREADS_VARIABLE}={text}", "a whole number above 0", f"unset {THREADS_VARIABLE}")
    return int(text)


def _threads() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, threads_wanted() or allowed)
