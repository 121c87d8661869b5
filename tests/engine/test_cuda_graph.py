"""CUDA graphs against a recorded contract: CUDA's part is played by the processor. Not hardware."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from allfocus.engine.cuda_graph import WARM_UP_RUNS, CUDAGraphNetwork
from allfocus.engine.torch import TorchEngine
from allfocus.weights.store import Model

Photo = Callable[..., np.ndarray]


class Recorded:
    """What torch offers for CUDA graphs; a replay computes what was recorded, into the same tensors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> None:
        self.steps: list[str] = []
        self.fails = fails
        monkeypatch.setattr(torch.cuda, "Stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)

    def wait_stream(self, other: object) -> None:
        self.steps.append("wait")

    @contextlib.contextmanager
    def graph(self, graph: object) -> Iterator[None]:
        assert graph is self
        self.steps.append("record")
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        yield

    def replay(self) -> None:
        self.steps.append("replay")
        self.compute()

    def compute(self) -> None:
        raise NotImplementedError


def test_it_is_warmed_up_beside_recorded_once_and_replayed_on_new_values(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    runs = []

    def network(batch: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        runs.append(len(recorded.steps))
        return 2 * batch, None

    graph = CUDAGraphNetwork(network, [torch.ones(3)])
    assert recorded.steps == ["wait", "wait", "record"]
    assert runs == [1] * WARM_UP_RUNS + [3]
    doubled = graph._outputs[0]
    assert doubled is not None
    recorded.compute = lambda: doubled.copy_(2 * graph._inputs[0])  # type: ignore[method-assign]
    found, nothing = graph.run([torch.tensor([1.0, 2.0, 3.0])])
    assert found is not None
    assert (found.tolist(), nothing, recorded.steps[-1]) == ([2.0, 4.0, 6.0], None, "replay")
    assert len(runs) == WARM_UP_RUNS + 1


def engine_on(fast: Model) -> TorchEngine:
    engine = TorchEngine(fast, "float32", "cpu")
    engine._records = True  # as on CUDA
    return engine


def test_the_second_batch_of_a_size_is_recorded(fast: Model, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = TorchEngine(fast, "float32", "cpu").run(photo(16, 32)).residual
    recorded, engine = Recorded(monkeypatch), engine_on(fast)
    recorded.compute = lambda: None  # type: ignore[method-assign]
    for size, steps in [((16, 16), 0), ((16, 32), 0), ((16, 32), 4), ((16, 32), 5), ((16, 16), 5)]:
        found = engine.run(photo(*size)).residual
        assert len(recorded.steps) == steps
        if size == (16, 32):
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_network_that_cannot_be_recorded_runs_as_before_and_says_so(
    fast: Model, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = TorchEngine(fast, "float32", "cpu").run(photo(16, 32)).residual
    recorded, engine = Recorded(monkeypatch, fails=True), engine_on(fast)
    found: list[Any] = [engine.run(photo(16, 32)).residual for _ in range(4)]
    for one in found:
        np.testing.assert_allclose(one, wanted, atol=1e-6)
    assert recorded.steps.count("record") == 1
    assert engine.info.device.endswith("; no CUDA graph: operation not permitted when stream is capturing")
