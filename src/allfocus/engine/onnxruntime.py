"""ONNX Runtime on the CPU, in float32: a second opinion that reads the same graph."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from allfocus.engine.base import EngineInfo, Estimate, LockedEngine, no_memory
from allfocus.engine.processor import Processor
from allfocus.errors import EngineError
from allfocus.weights.store import Model

NAME = "onnxruntime"
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


def start(model: Model, precision: str = "auto") -> ONNXRuntimeEngine:
    """Load a model.

    Raises:
        EngineError: it cannot run here.
    """
    return ONNXRuntimeEngine(model, best_precision() if precision == "auto" else precision)


class ONNXRuntimeEngine(LockedEngine):
    """A model in an ONNX Runtime session.

    Args:
        model: found and verified.
        precision: "float32".

    Raises:
        EngineError: ONNX Runtime cannot load the graph.
    """

    def __init__(self, model: Model, precision: str) -> None:
        import onnxruntime

        processor = Processor.here()
        super().__init__(model, EngineInfo(NAME, processor.name, precision, model.card.name, processor.threads))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = processor.threads
        try:
            self._session = onnxruntime.InferenceSession(str(model.graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base
            raise EngineError(
                f"ONNX Runtime cannot load {model.graph} ({error})",
                "the graph that was released with the weights",
                "copy the model's three files again",
            ) from error

    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        card = self._model.card
        try:
            found: list[Any] = list(self._session.run(list(card.outputs), dict(zip(card.inputs, inputs, strict=True))))
        except Exception as error:  # its exceptions share no base
            if isinstance(error, MemoryError) or any(sign in str(error) for sign in _MEMORY_SIGNS):
                raise no_memory(inputs) from error
            raise EngineError(f"ONNX Runtime failed ({error})", "a result", "--engine openvino") from error
        named = dict(zip(card.outputs, found, strict=True))
        return Estimate(named["residual"], named.get("disparity"))
