"""torch on CUDA, or on the CPU for comparison: the network itself, from the same weights file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.engine.base import EngineInfo, Estimate, LockedEngine, no_memory
from allfocus.engine.processor import Processor
from allfocus.errors import EngineError
from allfocus.weights.store import Model

NAME = "torch"
_DRIVERS = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg", "/dev/kfd", "C:/Windows/System32/nvcuda.dll")


def unavailable(precision: str = "auto", model: Model | None = None) -> str | None:
    """Why this engine cannot run here in this precision, or None if it can."""
    for package in ("torch", "safetensors"):
        if find_spec(package) is None:
            return f"{package} is not installed (pip install 'allfocus[torch]')"
    if precision == "int8":
        return "it computes in float32 or bfloat16"
    if precision == "bfloat16" and has_gpu() and not _cuda_has_bfloat16():
        return "this GPU has no bfloat16"
    return None


def has_gpu() -> bool:
    """Whether torch is installed and finds a GPU; torch is imported only where a driver is installed."""
    if find_spec("torch") is None or not any(Path(driver).exists() for driver in _DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()


def best_precision(model: Model | None = None) -> str:
    """bfloat16 on a GPU that has it, else float32."""
    return "bfloat16" if has_gpu() and _cuda_has_bfloat16() else "float32"


def start(model: Model, precision: str = "auto", threads: int | None = None) -> TorchEngine:
    """Load a model; torch has its own number of threads for the whole process, so `threads` says nothing here.

    Raises:
        EngineError: it cannot run here.
    """
    return TorchEngine(model, best_precision() if precision == "auto" else precision)


class TorchEngine(LockedEngine):
    """A network in eager torch.

    Args:
        model: found and verified.
        precision: "float32", or "bfloat16" by autocast.
        device: "cuda" or "cpu"; "auto" takes a GPU that is there.

    Raises:
        WeightsError: the weights do not fit the architecture on the card.
    """

    def __init__(self, model: Model, precision: str, device: str = "auto") -> None:
        import torch

        from allfocus.checkpoints.native import load_into
        from allfocus.nets.registry import Architecture

        self._device = torch.device(("cuda" if has_gpu() else "cpu") if device == "auto" else device)
        self._net = Architecture(**model.card.architecture).build().eval().requires_grad_(False)
        load_into(self._net, model.weights)
        self._net.to(self._device)
        described = torch.cuda.get_device_name() if self._device.type == "cuda" else Processor.here().name
        super().__init__(model, EngineInfo(NAME, described, precision, model.card.name, torch.get_num_threads()))

    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        return self._compute(inputs, half=self._info.precision == "bfloat16")

    def _infer_in_float32(self, inputs: list[np.ndarray]) -> Estimate:
        return self._compute(inputs, half=False)

    def _compute(self, inputs: list[np.ndarray], *, half: bool) -> Estimate:
        import torch

        try:
            with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=half):
                found = self._net(*(torch.from_numpy(array).to(self._device) for array in inputs))
            return Estimate(_numpy(found.residual), None if found.disparity is None else _numpy(found.disparity))
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                raise no_memory(inputs) from error
            raise EngineError(f"torch failed ({error})", "a result", "--engine openvino") from error


def _cuda_has_bfloat16() -> bool:
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def _numpy(tensor: Any) -> np.ndarray:
    return tensor.float().cpu().numpy()
