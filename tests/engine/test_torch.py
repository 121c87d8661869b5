from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from allfocus.engine.torch import TorchEngine, best_precision, has_gpu, unavailable
from allfocus.errors import EngineError, EngineMemoryError
from allfocus.weights.store import Model

Photo = Callable[..., np.ndarray]


def test_it_is_the_network_itself(fast: Model, photo: Photo) -> None:
    from allfocus.checkpoints.native import load

    batch = photo(48, 80, batch=2)
    with torch.no_grad():
        wanted = load(fast.weights)(torch.from_numpy(batch))
    found = TorchEngine(fast, "float32", "cpu").run(batch)
    np.testing.assert_allclose(found.residual, wanted.residual.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.disparity, wanted.disparity.numpy(), atol=1e-6)


def test_two_views_take_a_pair(models: dict[str, Model], photo: Photo) -> None:
    engine = TorchEngine(models["dual"], "float32", "cpu")
    same = engine.run(photo(16, 24), photo(16, 24, channels=6)).residual
    assert not np.array_equal(same, engine.run(photo(16, 24), np.zeros((1, 6, 16, 24), np.float32)).residual)


def test_bfloat16_is_close_and_comes_back_as_float32(fast: Model, photo: Photo) -> None:
    batch = photo(48, 80)
    half, full = (TorchEngine(fast, precision, "cpu").run(batch).residual for precision in ("bfloat16", "float32"))
    assert half.dtype == np.float32
    assert -10 * np.log10(np.mean((half - full) ** 2)) > 48
    assert not np.array_equal(half, full)


def test_out_of_memory_has_its_own_error(fast: Model, photo: Photo) -> None:
    engine = TorchEngine(fast, "float32", "cpu")

    def starve(*inputs: torch.Tensor) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    engine._net.forward = starve  # type: ignore[method-assign]
    with pytest.raises(EngineMemoryError, match="no memory for a batch of 1x3x32x48"):
        engine.run(photo(32, 48))


def test_values_that_are_not_finite_are_an_error(fast: Model, photo: Photo) -> None:
    engine = TorchEngine(fast, "bfloat16", "cpu")
    with torch.no_grad():
        engine._net.decoder.out[0].bias.fill_(float("nan"))
    with pytest.raises(EngineError, match="not finite, even in float32"):
        engine.run(photo(32, 48))
    assert engine.redone == 1


def test_without_torch_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allfocus.engine.torch.find_spec", lambda name: None)
    assert unavailable() == "torch is not installed (pip install 'allfocus[torch]')"
    assert not has_gpu()
    assert best_precision() == "float32"


@pytest.mark.skipif(not has_gpu(), reason="no GPU")
def test_a_gpu_agrees_with_the_cpu(fast: Model, photo: Photo) -> None:
    batch = photo(112, 208)
    wanted = TorchEngine(fast, "float32", "cpu").run(batch).residual
    np.testing.assert_allclose(TorchEngine(fast, "float32", "cuda").run(batch).residual, wanted, atol=1e-3)
