"""Photos that need no file: the laws hold on any picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allfocus.simulate.drawings import edge_chart, grating_chart, natural_noise, text_chart
from allfocus.simulate.photos import PhotoPool


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def photographs() -> list[np.ndarray]:
    """Six pictures uint8 (H, W, 3), drawn: charts and noise like that of photos."""
    drawn = [draw(np.random.default_rng(0), 320) for draw in (text_chart, edge_chart, grating_chart)]
    noise = [(natural_noise(np.random.default_rng(seed), 384) * 255).astype(np.uint8) for seed in range(3)]
    return [*drawn, *noise]


@pytest.fixture(scope="session")
def pool(photographs: list[np.ndarray]) -> PhotoPool:
    return PhotoPool(photographs)
