"""OpenVINO's GPU and NPU against a recorded contract: what is asked of OpenVINO, and what happens when it fails.

A contract, not hardware: neither device has been tried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from allfocus.engine import openvino
from allfocus.engine.choose import choose
from allfocus.engine.openvino_device import SIZES_KEPT, found, start, unavailable
from allfocus.errors import EngineError, OptionError
from allfocus.weights.store import Model

Photo = Callable[..., np.ndarray]


class Recorded:
    """OpenVINO with a GPU and an NPU, which compute on the processor, refuse to compile, or fail while they run."""

    real = staticmethod(openvino.core)

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fate: str = "works") -> None:
        self.fate = fate
        self.asked: list[tuple[str, list[int], dict[str, Any]]] = []
        monkeypatch.setattr(openvino, "core", lambda: self)

    @property
    def available_devices(self) -> list[str]:
        return ["CPU", "GPU.0", "GPU.1", "NPU"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real(), name)

    def get_property(self, device: str, name: str) -> Any:
        if device == "CPU":
            return self.real().get_property(device, name)
        assert (device, name) in (("GPU", "FULL_DEVICE_NAME"), ("NPU", "FULL_DEVICE_NAME"))
        return f"Intel(R)  {device}"

    def compile_model(self, graph: Any, device: str, settings: dict[str, Any]) -> Any:
        if device == "CPU":
            return self.real().compile_model(graph, device, settings)
        assert not graph.is_dynamic()
        self.asked.append((device, list(graph.input(0).shape), settings))
        if self.fate == "refuses":
            raise RuntimeError("no driver\nmore")
        compiled = self.real().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return Failing(compiled) if self.fate == "fails" else compiled


class Failing:
    """A compiled model whose requests fail."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled

    def create_infer_request(self) -> Failing:
        return self

    def infer(self, *arguments: Any) -> None:
        raise RuntimeError("device lost")


def test_a_device_is_compiled_once_for_each_size_in_float16(
    fast: Model, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = openvino.start(fast, "float32").run(photo(16, 32)).residual
    recorded = Recorded(monkeypatch)
    engine = choose(fast, "openvino-gpu")
    for _ in range(2):
        np.testing.assert_allclose(engine.run(photo(16, 32)).residual, wanted, atol=1e-6)
    assert engine.run(photo(32, 16)).disparity is not None
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f16"}
    assert recorded.asked == [("GPU", [1, 3, 16, 32], settings), ("GPU", [1, 3, 32, 16], settings)]
    assert (engine.info.precision, engine.info.device) == ("float16", "Intel(R) GPU, untested")


def test_sizes_not_used_for_long_are_compiled_again(fast: Model, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    engine = start("openvino-npu", fast, "float32")
    for cells in [*range(1, SIZES_KEPT + 2), SIZES_KEPT + 1, 1]:
        engine.run(photo(16, 16 * cells))
    assert [shape[3] // 16 for _, shape, _ in recorded.asked] == [*range(1, SIZES_KEPT + 2), 1]
    assert {(device, hints["INFERENCE_PRECISION_HINT"]) for device, _, hints in recorded.asked} == {("NPU", "f32")}


@pytest.mark.parametrize(("fate", "reason"), [("refuses", "no driver"), ("fails", "device lost")])
def test_a_device_that_fails_is_left_for_the_processor_with_a_note(
    fast: Model, photo: Photo, monkeypatch: pytest.MonkeyPatch, fate: str, reason: str
) -> None:
    wanted = openvino.start(fast).run(photo(16, 32)).residual
    recorded = Recorded(monkeypatch, fate)
    engine = start("openvino-npu", fast)
    for _ in range(2):
        np.testing.assert_array_equal(engine.run(photo(16, 32)).residual, wanted)
    assert len(recorded.asked) == 1
    assert engine.info.device.endswith(f"; NPU failed: {reason}")
    assert engine.info.precision == openvino.best_precision(fast)


def test_two_views_reach_a_device(models: dict[str, Model], photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = photo(16, 16, channels=6)
    wanted = openvino.start(models["dual"], "float32").run(photo(16, 16), pair).residual
    Recorded(monkeypatch)
    found = start("openvino-gpu", models["dual"]).run(photo(16, 16), pair).residual
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_which_devices_are_here_and_what_they_cannot(fast: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded(monkeypatch)
    assert found() == ["openvino-gpu", "openvino-npu"]
    assert unavailable("openvino-gpu") is None
    with pytest.raises(EngineError, match=r"openvino-gpu cannot run here: it computes in float16"):
        choose(fast, "openvino-gpu", "int8")
    with pytest.raises(OptionError, match="precision 'int8' on a GPU"):
        start("openvino-gpu", fast, "int8")
    monkeypatch.setattr(Recorded, "available_devices", ["CPU"])
    assert found() == []
    with pytest.raises(EngineError, match="openvino-npu cannot run here: OpenVINO finds no NPU here"):
        choose(fast, "openvino-npu")


def test_without_openvino_there_are_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "find_spec", lambda name: None)
    assert found() == []
    assert unavailable("openvino-gpu") == "openvino is not installed"
