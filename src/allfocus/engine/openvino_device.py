"""OpenVINO on an Intel GPU or NPU, in float16; untested on hardware. Never chosen by itself: on some laptops the
processor is the faster of the two.

A device gets graphs of one size each, for NPUs take no others and GPUs compile for every size anyway. One that cannot
compile or run is left for the processor, and `info.device` says so.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np

from allfocus.engine import openvino
from allfocus.engine.base import EngineInfo, Estimate, LockedEngine
from allfocus.engine.openvino import OpenVINOEngine, Size
from allfocus.errors import EngineError, OptionError
from allfocus.weights.store import Model

DEVICES = {"openvino-gpu": "GPU", "openvino-npu": "NPU"}
"""Engine -> what OpenVINO calls the device."""
HINTS = {"float16": "f16", "float32": "f32"}
SIZES_KEPT = 4
"""Compiled forms of different sizes that are kept at a time."""


def unavailable(name: str, precision: str = "auto") -> str | None:
    """Why the engine of this name cannot run here in this precision, or None if it can."""
    reason = openvino.unavailable()
    if reason is not None:
        return reason
    if precision in ("bfloat16", "int8"):
        return "it computes in float16, or with --precision float32 in that"
    if DEVICES[name] not in _kinds():
        return f"OpenVINO finds no {DEVICES[name]} here"
    return None


def found() -> list[str]:
    """The engines of `DEVICES` that OpenVINO has a driver for here."""
    if openvino.unavailable() is not None:
        return []
    kinds = _kinds()
    return [name for name, device in DEVICES.items() if device in kinds]


def start(name: str, model: Model, precision: str = "auto", threads: int | None = None) -> DeviceEngine:
    """Load a model on the device of an engine's name."""
    return DeviceEngine(DEVICES[name], model, "float16" if precision == "auto" else precision, threads)


class DeviceEngine(LockedEngine):
    """A model on a GPU or NPU, compiled for each size of batch when it comes.

    Args:
        device: "GPU" or "NPU".
        model: found and verified.
        precision: "float16" or "float32".
        threads: of the processor, which takes over where the device fails.

    Raises:
        OptionError: another precision.
    """

    def __init__(self, device: str, model: Model, precision: str, threads: int | None = None) -> None:
        if precision not in HINTS:
            raise OptionError(f"precision {precision!r} on a {device}", "auto or float32", "--precision auto")
        self._device, self._threads = device, threads
        self._requests: OrderedDict[tuple[Size, int], Any] = OrderedDict()
        self._processor: OpenVINOEngine | None = None
        name = " ".join(str(openvino.core().get_property(device, "FULL_DEVICE_NAME")).split())
        super().__init__(model, EngineInfo(openvino.NAME, f"{name}, untested", precision, model.card.name))

    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        if self._processor is not None:
            return self._processor.run(*inputs)
        card = self._model.card
        try:
            request = self._request(inputs[0])
            request.infer(dict(zip(card.inputs, map(np.ascontiguousarray, inputs), strict=True)))
            tensors = {name: np.array(request.get_tensor(name).data, np.float32) for name in card.outputs}
        except RuntimeError as error:
            self._leave(error)
            return self._infer(inputs)
        return Estimate(tensors["residual"], tensors.get("disparity"))

    def _infer_in_float32(self, inputs: list[np.ndarray]) -> Estimate:
        return OpenVINOEngine(self._model, "float32", threads=self._threads).run(*inputs)

    def _request(self, batch: np.ndarray) -> Any:
        """A request of the graph for batches of this shape; the one used longest ago makes room for a new one."""
        count, _, height, width = batch.shape
        key = (height, width), count
        if key not in self._requests:
            while len(self._requests) >= SIZES_KEPT:
                self._requests.popitem(last=False)
            core = openvino.core()
            graph = core.read_model(str(self._model.graph))
            inputs = zip(self._model.card.inputs, (1, 2), strict=False)
            graph.reshape({name: [count, 3 * views, height, width] for name, views in inputs})
            settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[self._info.precision]}
            self._requests[key] = core.compile_model(graph, self._device, settings).create_infer_request()
        self._requests.move_to_end(key)
        return self._requests[key]

    def _leave(self, error: Exception) -> None:
        """Go on with the processor, and say why."""
        self._requests.clear()
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        try:
            precision = "float32" if self._info.precision == "float32" else openvino.best_precision(self._model)
            self._processor = OpenVINOEngine(self._model, precision, threads=self._threads)
        except EngineError as other:
            raise other from error
        taken = self._processor.info
        self._info = replace(taken, device=f"{taken.device}; {self._device} failed: {reason}")


def _kinds() -> set[str]:
    """Of the devices, which may be numbered (GPU.0, GPU.1)."""
    return {device.partition(".")[0] for device in openvino.core().available_devices}
