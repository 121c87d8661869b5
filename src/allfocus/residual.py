"""The residual of one stage on scratch: what will be added to the photo, and its view at a finer scale."""

from __future__ import annotations

import numpy as np

from allfocus.photo.canvas import Canvas
from allfocus.photo.tiling import Box

ONE = 32767.0
MARGIN = 2
# Catmull-Rom weights at a quarter of a pixel: a fine pixel's centre lies there between four coarse ones
CUBIC = np.array([-0.0703125, 0.8671875, 0.2265625, -0.0234375], np.float32)


class Residual:
    """A signed picture in fixed point (1/32767 per step, so zero stays exactly zero), three channels.

    Args:
        width: in px of its stage.
        height: in px of its stage.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._canvas = Canvas(width, height, 3, np.uint16)

    def add(self, box: Box, values: np.ndarray) -> None:
        """Add (h, w, 3) float32 values to a box inside; sums are clipped to [-1, 1]."""
        total = np.rint((self.read(box) + values) * ONE)
        self._canvas.write(box, np.clip(total, -ONE, ONE).astype(np.int16).view(np.uint16))

    def read(self, box: Box) -> np.ndarray:
        """(h, w, 3) float32 at a box inside."""
        return self._canvas.read(box).view(np.int16).astype(np.float32) / np.float32(ONE)

    def enlarged(self, box: Box, factor: int) -> np.ndarray:
        """The residual as a stage `factor` (1, 2 or 4) times finer sees it, at a box of that stage's px.

        Cubic interpolation, edges repeated; the box may reach outside.
        """
        if factor == 1:
            return self._read_replicated(box)
        coarse = Box(
            box.x // 2 - MARGIN, box.y // 2 - MARGIN, box.width // 2 + 2 + 2 * MARGIN, box.height // 2 + 2 + 2 * MARGIN
        )
        values = self.enlarged(coarse, factor // 2)
        values = _double(_double(values, 0), 1)
        y, x = box.y - 2 * coarse.y, box.x - 2 * coarse.x
        return values[y : y + box.height, x : x + box.width]

    def close(self) -> None:
        """Let go of the scratch."""
        self._canvas.close()

    def _read_replicated(self, box: Box) -> np.ndarray:
        rows = np.clip(np.arange(box.y, box.y + box.height), 0, self.height - 1)
        columns = np.clip(np.arange(box.x, box.x + box.width), 0, self.width - 1)
        inner = self.read(
            Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)
        )
        return inner[(rows - rows[0])[:, None], (columns - columns[0])[None, :]]


def _double(values: np.ndarray, axis: int) -> np.ndarray:
    """Twice as many pixels along an axis, edges repeated: fine pixels lie a quarter to either side of a coarse one."""
    values = np.moveaxis(values, axis, 0)
    count = len(values)
    padded = np.concatenate([values[:1], values[:1], values, values[-1:], values[-1:]])
    result = np.empty((2 * count, *values.shape[1:]), np.float32)
    result[0::2] = sum(w * padded[3 - k : 3 - k + count] for k, w in enumerate(CUBIC))
    result[1::2] = sum(w * padded[1 + k : 1 + k + count] for k, w in enumerate(CUBIC))
    return np.moveaxis(result, 0, axis)
