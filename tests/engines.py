"""Engines that stand in for a network where a test is about everything around it."""

from __future__ import annotations

import numpy as np

from allfocus.engine.base import EngineInfo, Estimate
from allfocus.errors import EngineMemoryError
from allfocus.weights.card import Card

MULTIPLE = 16


def card(context_px: int = 32, tile_px: int = 256) -> Card:
    """A card that goes with `LocalEngine`."""
    return Card(
        name="stand-in",
        architecture={},
        parameters=0,
        multiple=MULTIPLE,
        context_px=context_px,
        sha256="0" * 64,
        licence="Apache-2.0",
        tile_px=tile_px,
    )


class LocalEngine:
    """Adds `gain` times the difference to a 9x9 box mean: local, so tiles with 4 px of context are exact.

    Args:
        gain: 0 gives a residual of zero.
        memory_px: tiles of more than a square of this side run out of memory.
        disparity: of a cell, times the mean of its pixels' red.
    """

    redone = 0

    def __init__(self, gain: float = 0.5, memory_px: int = 10_000, disparity: float = 0.0) -> None:
        self.gain, self.memory_px, self.disparity = gain, memory_px, disparity
        self.areas: list[int] = []

    @property
    def info(self) -> EngineInfo:
        """What runs."""
        return EngineInfo("stand-in", "CPU", "float32", "stand-in")

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """The box-mean residual of a (N, 3, H, W) batch."""
        area = batch.shape[2] * batch.shape[3]
        self.areas.append(area)
        if area > self.memory_px**2:
            raise EngineMemoryError(f"a tile of {area} pixels", "fewer", "a smaller tile")
        padded = np.pad(batch, [(0, 0), (0, 0), (4, 4), (4, 4)], mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (9, 9), axis=(2, 3))
        residual = (self.gain * (batch - windows.mean((-2, -1)))).astype(np.float32)
        count, _, height, width = batch.shape
        cells = batch[:, :1].reshape(count, 1, height // MULTIPLE, MULTIPLE, width // MULTIPLE, MULTIPLE)
        return Estimate(residual, np.float32(self.disparity) * cells.mean(axis=(3, 5)))
