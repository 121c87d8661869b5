"""Which implementation of the adaptive convolution runs, and why a faster one does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch

from allfocus.errors import OptionError
from allfocus.ops.adaptive_conv import native
from allfocus.ops.adaptive_conv.contract import PLANES

KERNEL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OLDEST_CUDA_CAPABILITY = (7, 0)
LARGEST_FILTERS = 2**31 - 1  # the kernels take some offsets in 32 bits


@dataclass(frozen=True)
class Choice:
    """The implementation to run ("triton", "native" or "eager"), and why each other was passed over."""

    name: str
    reasons: dict[str, str]

    def __str__(self) -> str:
        passed_over = "; ".join(f"not {name}: {reason}" for name, reason in self.reasons.items())
        return f"{self.name} ({passed_over})" if passed_over else self.name


def choose(features: torch.Tensor, backend: str = "auto") -> Choice:
    """Pick the implementation for the device and dtype of these features; "auto" takes the fastest that can run.

    OptionError: there is no such implementation, or it cannot run on these features.
    """
    if backend == "auto":
        reasons = {}
        for name, obstacle in BACKENDS.items():
            reason = obstacle(features, False)
            if reason is None:
                return Choice(name, reasons)
            reasons[name] = reason
    if backend not in BACKENDS:
        raise OptionError(f"backend {backend!r}", f"auto, {', '.join(BACKENDS)}", "'auto'")
    reason = BACKENDS[backend](features, True)
    if reason is not None:
        raise OptionError(f"backend {backend!r}, but {reason}", "a backend that can run here", "'auto'")
    return Choice(backend, {})


def exporting() -> bool:
    """Whether a graph of the network is being made, which has plain operations only."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def interpreting() -> bool:
    """Whether Triton runs its kernels in Python on the CPU: for tests, thousands of times slower."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _triton_obstacle(features: torch.Tensor, asked_for: bool) -> str | None:
    if exporting():
        return "the network is being exported, and an exported graph has plain operations only"
    if features.device.type != "cuda" and not (asked_for and interpreting()):
        return f"the features are on {features.device.type}, and Triton's kernels need a CUDA device"
    if find_spec("triton") is None:
        return "the package triton is not installed"
    if features.dtype not in KERNEL_DTYPES:
        return f"the kernels do not compute in {features.dtype}"
    if features.numel() * PLANES > LARGEST_FILTERS:
        return "the filters of one iteration would have more than 2^31 values; work in smaller tiles"
    if features.device.type == "cuda":
        capability = torch.cuda.get_device_capability(features.device)
        if capability < OLDEST_CUDA_CAPABILITY:
            return f"compute capability {capability[0]}.{capability[1]} is older than Triton's oldest, 7.0"
    return None


def _native_obstacle(features: torch.Tensor, asked_for: bool) -> str | None:
    if exporting():
        return "the network is being exported, and an exported graph has plain operations only"
    if features.device.type != "cpu":
        return f"the features are on {features.device.type}, and the C++ kernels are for CPUs"
    if not asked_for and not torch.is_grad_enabled():
        return "no gradient is taken, and forward alone plain operations are as fast"
    if features.dtype not in KERNEL_DTYPES:
        return f"the kernels do not compute in {features.dtype}"
    return native.obstacle()


def _eager_obstacle(features: torch.Tensor, asked_for: bool) -> str | None:
    return None


BACKENDS: dict[str, Callable[[torch.Tensor, bool], str | None]] = {
    "triton": _triton_obstacle,
    "native": _native_obstacle,
    "eager": _eager_obstacle,
}
