"""A simulated session that every test of the kit may use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

from allfocus.capture.demo import PlantedScene, make_demo

SIZE = (192, 224)
FAULTS = ("alone", "resized", "black", "wall", "elsewhere", "moving")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[PlantedScene]]:
    """Two good pairs and one of some faults, small."""
    folder = tmp_path_factory.mktemp("session")
    return folder, make_demo(folder, 2, FAULTS, SIZE, seed=4)


@pytest.fixture
def drawn() -> np.ndarray:
    """A scene in linear light, (H, W, 3)."""
    from allfocus.capture.scene import drawn

    return drawn(np.random.default_rng(5), (96, 128))
