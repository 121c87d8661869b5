"""torch on CUDA, or on the CPU for comparison: the network itself, from the same weights file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allfocus.engine.base import EngineInfo, Estimate, LockedEngine, no_memory
from allfocus.engine.processor import Processor
from allfocus.errors import EngineError
from allfocus.weights.store import Model

if TYPE_CHECKING:
    import torch

    from allfocus.engine.cuda_graph import CUDAGraphNetwork

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
    """A network in eager torch, in float32 or by autocast in bfloat16; the device "auto" takes a GPU that is there.

    On CUDA it runs as a CUDA graph from the second batch of one size on.

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
        self._graph: CUDAGraphNetwork | None = None
        self._shapes: object = None  # of the batch before, until graphs fail
        self._records = self._device.type == "cuda"
        described = torch.cuda.get_device_name() if self._device.type == "cuda" else Processor.here().name
        super().__init__(model, EngineInfo(NAME, described, precision, model.card.name, torch.get_num_threads()))

    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        return self._compute(inputs, half=self._info.precision == "bfloat16")

    def _infer_in_float32(self, inputs: list[np.ndarray]) -> Estimate:
        return self._compute(inputs, half=False)

    def _compute(self, inputs: list[np.ndarray], *, half: bool) -> Estimate:
        import torch

        try:
            with torch.inference_mode():
                batch = [torch.from_numpy(array).to(self._device) for array in inputs]
                graph = self._recorded(batch, half)
                residual, disparity = self._network(half, *batch) if graph is None else graph.run(batch)
                assert residual is not None
                return Estimate(_numpy(residual), None if disparity is None else _numpy(disparity))
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                raise no_memory(inputs) from error
            raise EngineError(f"torch failed ({error})", "a result", "--engine openvino") from error

    def _network(self, half: bool, *batch: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Residual and disparity of tensors on the device."""
        import torch

        with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
            found = self._net(*batch)
        return found.residual, found.disparity

    def _recorded(self, batch: list[torch.Tensor], half: bool) -> CUDAGraphNetwork | None:
        """The graph for batches of these shapes, recorded when they come a second time in a row; None without."""
        if not self._records:
            return None
        from allfocus.engine.cuda_graph import CUDAGraphNetwork

        shapes = (half, *(tensor.shape for tensor in batch))
        if shapes != self._shapes:
            self._shapes, self._graph = shapes, None
        elif self._graph is None:
            try:
                self._graph = CUDAGraphNetwork(partial(self._network, half), batch)
            except RuntimeError as error:  # without graphs it is slower and no less right
                self._records = False
                reason = (str(error).splitlines() or ["no reason given"])[0][:100]
                self._info = replace(self._info, device=f"{self._info.device}; no CUDA graph: {reason}")
        return self._graph


def _cuda_has_bfloat16() -> bool:
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def _numpy(tensor: Any) -> np.ndarray:
    return tensor.float().cpu().numpy()
