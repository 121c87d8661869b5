from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allfocus.engine.onnxruntime import ONNXRuntimeEngine, accelerators, start, unavailable
from allfocus.engine.torch import TorchEngine
from allfocus.errors import EngineError, EngineMemoryError
from allfocus.weights.store import Model

onnxruntime = pytest.importorskip("onnxruntime")
Photo = Callable[..., np.ndarray]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5), (3, 7)])
def test_it_agrees_with_torch(fast: Model, photo: Photo, rows: int, columns: int) -> None:
    batch = photo(16 * rows, 16 * columns, batch=2)
    found, wanted = start(fast).run(batch), TorchEngine(fast, "float32", "cpu").run(batch)
    np.testing.assert_allclose(found.residual, wanted.residual, atol=1e-4)
    np.testing.assert_allclose(found.disparity, wanted.disparity, atol=1e-4)


def test_a_network_without_disparity_gives_none(models: dict[str, Model], photo: Photo) -> None:
    assert start(models["ablation"]).run(photo(16, 16)).disparity is None


def test_a_graph_that_cannot_be_read_is_an_error(fast: Model, tmp_path: Path) -> None:
    broken = tmp_path / "fast.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"ONNX Runtime cannot load .*fast\.onnx"):
        ONNXRuntimeEngine(Model(fast.card, fast.weights, broken), "float32")


class Failing:
    """A session that fails."""

    def __init__(self, message: str) -> None:
        self.message = message

    def run(self, *arguments: object) -> None:
        raise RuntimeError(self.message)


@pytest.mark.parametrize(
    ("message", "kind"), [("Failed to allocate memory for requested buffer", EngineMemoryError), ("oops", EngineError)]
)
def test_failures_have_their_own_errors(fast: Model, photo: Photo, message: str, kind: type[Exception]) -> None:
    engine = start(fast)
    engine._session = Failing(message)  # type: ignore[assignment]
    with pytest.raises(kind) as failure:
        engine.run(photo(16, 16))
    assert type(failure.value) is kind


def test_why_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unavailable("bfloat16") == "it computes in float32 only"
    monkeypatch.setattr("allfocus.engine.onnxruntime.find_spec", lambda name: None)
    assert unavailable() == "onnxruntime is not installed (pip install 'allfocus[onnx]')"


class Recorded:
    """What ONNX Runtime does with a provider that it has: the session lists it first, is refused, runs or fails.

    A contract, not hardware: none of these providers has been tried.
    """

    real = staticmethod(onnxruntime.InferenceSession)

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **fate: str) -> None:
        self.asked: list[list[str]] = []
        self.fate = fate
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: [*fate, "AzureExecutionProvider", "CPUExecutionProvider"]
        )
        monkeypatch.setattr(onnxruntime, "InferenceSession", self.open)

    def open(self, path: str, options: object, providers: list[str]) -> object:
        self.asked.append(providers)
        fate = self.fate.get(providers[0])
        if fate == "refuses":
            raise RuntimeError("no driver\nmore")
        session = self.real(path, options, providers=["CPUExecutionProvider"])
        return session if fate is None else Accelerated(session, providers, fate)


class Accelerated:
    """A session that says it runs on an accelerator."""

    def __init__(self, session: Any, providers: list[str], fate: str) -> None:
        self.session, self.providers, self.fate = session, providers, fate

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"] if self.fate == "silent" else self.providers

    def run(self, *arguments: Any) -> Any:
        if self.fate == "fails":
            raise RuntimeError("device lost")
        return self.session.run(*arguments)


def test_an_accelerator_goes_first_and_says_so(fast: Model, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = start(fast).run(photo(16, 32)).residual
    recorded = Recorded(monkeypatch, CoreMLExecutionProvider="works")
    engine = start(fast)
    assert recorded.asked == [["CoreMLExecutionProvider", "CPUExecutionProvider"]]
    assert engine.info.device == "CoreML, untested"
    np.testing.assert_array_equal(engine.run(photo(16, 32)).residual, wanted)
    assert accelerators() == ["CoreML"]


@pytest.mark.parametrize("fate", ["refuses", "silent", "fails"])
def test_what_fails_is_left_for_the_next_with_a_note(
    fast: Model, photo: Photo, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    wanted = start(fast).run(photo(16, 32)).residual
    recorded = Recorded(monkeypatch, TensorrtExecutionProvider=fate, CUDAExecutionProvider=fate)
    engine = start(fast)
    np.testing.assert_array_equal(engine.run(photo(16, 32)).residual, wanted)
    assert [providers[0] for providers in recorded.asked] == [
        "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"
    ]  # fmt: skip
    reason = {"refuses": "failed: no driver", "silent": "is not usable", "fails": "failed: device lost"}[fate]
    assert engine.info.device.endswith(f"; TensorRT {reason}; CUDA {reason}")
    np.testing.assert_array_equal(engine.run(photo(16, 32)).residual, wanted)
    assert len(recorded.asked) == 3
