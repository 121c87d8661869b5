"""What a stage and the coarser ones add to the photo, on scratch, and its view at a finer scale."""

from __future__ import annotations

import threading

import numpy as np

from allfocus.photo.canvas import Canvas
from allfocus.photo.tiling import Box

ONE = 32767.0
MARGIN = 2
MEMORY_LIMIT = 96 * 2**20
"""Up to 16 megapixels it stays in memory: in a file it takes 25 ms a megapixel longer to add to."""
# Catmull-Rom weights at a quarter of a pixel: a fine pixel's centre lies there between four coarse ones
CUBIC = np.array([-0.0703125, 0.8671875, 0.2265625, -0.0234375], np.float32)


class Residual:
    """A signed picture: that of the stage before, enlarged, and what this one adds to it; three channels.

    What is added is kept in fixed point (1/32767 per step, so zero stays exactly zero). Channels lie apart, (3, h, w),
    as the network has them. Several threads may add in any order with the same result.

    Args:
        width, height: in px of its stage.
        coarser: of the stage before, of half the size (rounded up); None before the first.
    """

    def __init__(self, width: int, height: int, coarser: Residual | None = None) -> None:
        self.width, self.height = width, height
        self._coarser = coarser
        # one channel below the other
        self._canvas = Canvas(width, 3 * height, 1, np.uint16, memory_limit=MEMORY_LIMIT)
        self._adding = threading.Lock()

    def add(self, box: Box, values: np.ndarray) -> None:
        """Add (3, h, w) float32 values to a box inside; sums are clipped to [-1, 1]."""
        steps = np.rint(values * np.float32(ONE))
        with self._adding:
            for channel, more in enumerate(steps):
                place = self._place(box, channel)
                more += self._canvas.read(place).view(np.int16)[..., 0]
                np.clip(more, -ONE, ONE, out=more)
                self._canvas.write(place, more.astype(np.int16).view(np.uint16)[..., None])

    def read(self, box: Box) -> np.ndarray:
        """(3, h, w) float32 at a box inside."""
        values = np.empty((3, box.height, box.width), np.float32)
        for channel, plane in enumerate(values):
            steps = self._canvas.read(self._place(box, channel)).view(np.int16)[..., 0]
            np.divide(steps, np.float32(ONE), out=plane)
        if self._coarser is not None:
            values += self._coarser.enlarged(box, 2)
        return values

    def enlarged(self, box: Box, factor: int) -> np.ndarray:
        """The residual as a stage `factor` (1, 2 or 4) times finer sees it, at a box of that stage's px: (3, h, w).

        Cubic interpolation, edges repeated; the box may reach outside.
        """
        if factor == 1:
            return self._read_replicated(box)
        left, top = box.x // 2, box.y // 2
        width, height = -(-(box.x + box.width) // 2) - left, -(-(box.y + box.height) // 2) - top
        seen = Box(left - MARGIN, top - MARGIN, width + 2 * MARGIN, height + 2 * MARGIN)
        values = _doubled(_doubled(self.enlarged(seen, factor // 2), 1), 2)
        y, x = box.y - 2 * top, box.x - 2 * left
        return values[:, y : y + box.height, x : x + box.width]

    def close(self) -> None:
        """Release the scratch, that of the stages before too."""
        self._canvas.close()
        if self._coarser is not None:
            self._coarser.close()

    def _place(self, box: Box, channel: int) -> Box:
        return Box(box.x, box.y + channel * self.height, box.width, box.height)

    def _read_replicated(self, box: Box) -> np.ndarray:
        rows = np.clip(np.arange(box.y, box.y + box.height), 0, self.height - 1)
        columns = np.clip(np.arange(box.x, box.x + box.width), 0, self.width - 1)
        width, height = int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1
        inner = self.read(Box(int(columns[0]), int(rows[0]), width, height))
        if (width, height) == (box.width, box.height):
            return inner
        return inner[:, (rows - rows[0])[:, None], (columns - columns[0])[None, :]]


def _doubled(values: np.ndarray, axis: int) -> np.ndarray:
    """Twice as many pixels along an axis of (3, h, w), less the `MARGIN` at its ends, which is only read.

    Fine pixels lie a quarter of a pixel to either side of a coarse one.
    """
    count = values.shape[axis] - 2 * MARGIN
    shape = list(values.shape)
    shape[axis] = count
    total, part = np.empty(shape[1:], np.float32), np.empty(shape[1:], np.float32)
    shape[axis] = 2 * count
    doubled = np.empty(shape, np.float32)
    for channel, wanted in zip(values, doubled, strict=True):  # one by one: what is made of it stays in the cache
        for half, places in enumerate(((3, 2, 1, 0), (1, 2, 3, 4))):
            np.multiply(_along(channel, axis, places[0], count), CUBIC[0], out=total)
            for weight, place in zip(CUBIC[1:], places[1:], strict=True):
                total += np.multiply(_along(channel, axis, place, count), weight, out=part)
            wanted[(slice(None),) * (axis - 1) + (slice(half, None, 2),)] = total
    return doubled


def _along(values: np.ndarray, axis: int, start: int, count: int) -> np.ndarray:
    return values[(slice(None),) * (axis - 1) + (slice(start, start + count),)]
