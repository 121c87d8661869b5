from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from allfocus.engine.onnxruntime import ONNXRuntimeEngine, start, unavailable
from allfocus.engine.torch import TorchEngine
from allfocus.errors import EngineError, EngineMemoryError
from allfocus.weights.store import Model

pytest.importorskip("onnxruntime")
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
