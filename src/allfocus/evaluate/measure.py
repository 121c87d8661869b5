"""Time, peak memory, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from allfocus.engine.processor import Processor

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
KIB_PER_MIB = 1024


@dataclass
class Meter:
    """Measures a `with` block: `seconds` of wall time until all results are in memory, `peak_mib` of the process.

    Where the kernel can reset the peak (Linux), it is that of the block; elsewhere that of the process so far. On a
    CUDA device its queue is waited for before and after, and `peak_gpu_mib` is what torch had allocated at most.
    """

    seconds: float = 0.0
    peak_mib: float = 0.0
    peak_gpu_mib: float | None = None

    def __enter__(self) -> Meter:
        cuda = _cuda()
        if cuda is not None:
            cuda.synchronize()
            cuda.reset_peak_memory_stats()
        with suppress(OSError):
            CLEAR.write_text(RESET_PEAK, encoding="ascii")
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        cuda = _cuda()
        if cuda is not None:
            cuda.synchronize()
            self.peak_gpu_mib = cuda.max_memory_allocated() / KIB_PER_MIB**2
        self.seconds = time.perf_counter() - self._started
        self.peak_mib = _peak_mib()


def machine() -> dict[str, object]:
    """Processor, cores this process may use, memory, system and the versions that decide speed; no names, no paths."""
    found: dict[str, object] = {
        "processor": Processor.here().name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in ("numpy", "torch", "openvino", "onnxruntime"):
        module = sys.modules.get(name)
        if module is not None:
            found[name] = str(getattr(module, "__version__", "?"))
    cuda = _cuda()
    if cuda is not None:
        found["gpu"] = cuda.get_device_name()
    return found


def _peak_mib() -> float:
    try:
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / KIB_PER_MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


def _cuda():
    """torch.cuda where torch is loaded and has a device; scoring must not be what loads torch."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None
