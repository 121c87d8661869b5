"""Small models that the tests of this room release for themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from allfocus.checkpoints.release import release
from allfocus.nets.registry import Architecture
from allfocus.weights.store import Model

SMALL = {
    "fast": Architecture(iterations=3, unshuffle=2, width=8),
    "plain": Architecture(iterations=3, width=8),
    "dual": Architecture(iterations=2, views=2, width=8),
    "ablation": Architecture(width=8, family="plain"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache of compiled models for the whole session, away from the user's."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("ALLFOCUS_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """The networks of `SMALL`, with random weights and small residuals, as a user would have them."""
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for name, architecture in SMALL.items():
        torch.manual_seed(0)
        made[name] = release(architecture.build(0.1), architecture, name, folder, context_px=16)
    return made


@pytest.fixture(scope="session")
def fast(models: dict[str, Model]) -> Model:
    """The small network on half-size features: multiples of 16."""
    return models["fast"]


Photo = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def photo() -> Photo:
    """Makes random batches (N, C, H, W) float32 in [0, 1]: photo(height, width, batch=1, channels=3)."""

    def make(height: int, width: int, batch: int = 1, channels: int = 3) -> np.ndarray:
        return np.random.default_rng(height * width).random((batch, channels, height, width), dtype=np.float32)

    return make
