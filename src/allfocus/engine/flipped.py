"""Any engine run twice, on the photo and its mirror image, and averaged."""

from __future__ import annotations

import numpy as np

from allfocus.engine.base import Engine, EngineInfo, Estimate
from allfocus.errors import OptionError


class FlippedEngine:
    """Averages the residuals of a photo and of its mirror image; the disparity is that of the photo itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def redone(self) -> int:
        """As the engine's own."""
        return self._engine.redone

    @property
    def info(self) -> EngineInfo:
        """What runs, and where."""
        return self._engine.info

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`; dual-pixel views are refused, since a mirror image exchanges them."""
        if pair is not None:
            raise OptionError("dual-pixel views with --speed best", "a photo alone", "--speed balanced")
        found = self._engine.run(batch)
        mirrored = self._engine.run(np.ascontiguousarray(batch[..., ::-1])).residual[..., ::-1]
        return Estimate((found.residual + mirrored) * np.float32(0.5), found.disparity)
