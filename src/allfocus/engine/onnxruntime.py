"""ONNX Runtime in float32: a second engine for the same graph, with GPUs that OpenVINO lacks."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from allfocus.engine.base import EngineInfo, Estimate, LockedEngine, no_memory
from allfocus.engine.processor import Processor
from allfocus.errors import EngineError
from allfocus.weights.store import Model

NAME = "onnxruntime"
ACCELERATORS = {
    "TensorrtExecutionProvider": "TensorRT",
    "CUDAExecutionProvider": "CUDA",
    "CoreMLExecutionProvider": "CoreML",
    "DmlExecutionProvider": "DirectML",
}
"""Execution providers that are tried before the CPU, in this order, and what people call them. None of them has been
tried on hardware: tests hold what is asked of ONNX Runtime and what happens when it fails."""
_CPU = "CPUExecutionProvider"
_MEMORY_SIGNS = ("bad allocation", "bad_alloc", "Failed to allocate")


def unavailable(precision: str = "auto", model: Model | None = None) -> str | None:
    """Why this engine cannot run here in this precision, or None if it can."""
    if find_spec("onnxruntime") is None:
        return "onnxruntime is not installed (pip install 'allfocus[onnx]')"
    if precision in ("bfloat16", "int8"):
        return "it computes in float32 only"
    return None


def best_precision(model: Model | None = None) -> str:
    """float32."""
    return "float32"


def accelerators() -> list[str]:
    """What ONNX Runtime could use here beside the CPU, in words; empty where it is not installed."""
    if find_spec("onnxruntime") is None:
        return []
    import onnxruntime

    return [words for name, words in ACCELERATORS.items() if name in onnxruntime.get_available_providers()]


def start(model: Model, precision: str = "auto", threads: int | None = None) -> ONNXRuntimeEngine:
    """Load a model. EngineError: it cannot run here."""
    return ONNXRuntimeEngine(model, best_precision() if precision == "auto" else precision, threads)


class ONNXRuntimeEngine(LockedEngine):
    """A model in an ONNX Runtime session: on the first accelerator that loads it, else on the CPU.

    One that fails at its first batch is left for the CPU, and `info.device` says so. EngineError: it cannot be loaded.
    """

    def __init__(self, model: Model, precision: str, threads: int | None = None) -> None:
        import onnxruntime

        self._processor = Processor.here()
        self._threads = threads or self._processor.threads
        super().__init__(model, EngineInfo(NAME, self._processor.name, precision, model.card.name, self._threads))
        found = onnxruntime.get_available_providers()
        self._left: list[str] = [*(name for name in ACCELERATORS if name in found), _CPU]
        self._refused: list[str] = []
        self._session: Any = self._open()

    def _open(self) -> Any:
        """A session on the first provider that is left and loads the graph; the last of them is the CPU."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = self._threads
        while True:
            provider = self._left.pop(0)
            wanted = [provider] if provider == _CPU else [provider, _CPU]
            try:
                session = onnxruntime.InferenceSession(str(self._model.graph), options, providers=wanted)
            except Exception as error:  # its exceptions share no base
                if provider != _CPU:
                    self._refuse(provider, error)
                    continue
                raise EngineError(
                    f"ONNX Runtime cannot load {self._model.graph} ({error})",
                    "the graph that was released with the weights",
                    "copy the model's three files again",
                ) from error
            if provider not in session.get_providers():
                self._refused.append(f"{ACCELERATORS[provider]} is not usable")
                continue
            device = f"{ACCELERATORS[provider]}, untested" if provider != _CPU else self._processor.name
            described = "; ".join([device, *self._refused])
            self._info = replace(self._info, device=described)
            return session

    def _refuse(self, provider: str, error: Exception) -> None:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        self._refused.append(f"{ACCELERATORS[provider]} failed: {reason[:100]}")

    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        card = self._model.card
        try:
            found: list[Any] = list(self._session.run(list(card.outputs), dict(zip(card.inputs, inputs, strict=True))))
        except Exception as error:  # its exceptions share no base
            if isinstance(error, MemoryError) or any(sign in str(error) for sign in _MEMORY_SIGNS):
                raise no_memory(inputs) from error
            if self._left:  # an accelerator: those after it, and the CPU, have not been tried
                self._refuse(self._session.get_providers()[0], error)
                self._session = self._open()
                return self._infer(inputs)
            raise EngineError(f"ONNX Runtime failed ({error})", "a result", "--engine openvino") from error
        named = dict(zip(card.outputs, found, strict=True))
        return Estimate(named["residual"], named.get("disparity"))
