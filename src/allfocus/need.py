"""Areas that a working scale has to process, measured before the network runs, so that tiles in focus are skipped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import Reader
from allfocus.photo.tiling import Box
from allfocus.scales import CONTEXT_PX, needs_scale

CELL_PX = 32
NEGLIGIBLE = 0.02
"""Where no pixel of a cell needs more than this share of the network's correction, the cell is left out: a correction
of 50 grey levels of 255 would be one. Where a photo is in focus the network's own are far smaller."""
_ONE = 65535.0
_BLOCK = (256, 512)  # rows and columns that the processor's cache holds with all that is made of them
_WORKERS = 2  # more of them spend their time on waiting for each other in Python


class Need:
    """What `needs_scale` says about a photo reduced to a working scale.

    Args:
        reader: the photo at that scale.
        width, height: of the plane over which tiles see it, in px; from the reader's size on, its edges are repeated.
        finest: whether no finer scale follows.
    """

    def __init__(self, reader: Reader, width: int, height: int, *, finest: bool) -> None:
        self.width, self.height = width, height
        self._reader, self._finest = reader, finest
        self._canvas = Canvas(width, height, 1, np.uint16)
        self.cells = np.zeros((-(-height // CELL_PX), -(-width // CELL_PX)), bool)
        """(rows, columns) of `CELL_PX` squares: whether the scale has anything to do there."""
        rows, columns = _BLOCK
        blocks = [
            Box(x, y, min(columns, width - x), min(rows, height - y))
            for y in range(0, height, rows)
            for x in range(0, width, columns)
        ]
        with ThreadPoolExecutor(_WORKERS) as workers:
            for _ in workers.map(self._look, blocks):
                pass

    def read(self, box: Box) -> np.ndarray:
        """(h, w) float32 from 0 to 1 at a box inside."""
        return self._canvas.read(box)[..., 0] * np.float32(1 / _ONE)

    def close(self) -> None:
        """Release the scratch."""
        self._canvas.close()

    def _look(self, block: Box) -> None:
        left, top = max(block.x - CONTEXT_PX, 0), max(block.y - CONTEXT_PX, 0)
        right = min(block.x + block.width + CONTEXT_PX, self.width)
        bottom = min(block.y + block.height + CONTEXT_PX, self.height)
        seen = self._reader.planes(Box(left, top, right - left, bottom - top))
        share = needs_scale(seen.transpose(1, 2, 0), finest=self._finest)
        share = share[block.y - top : block.y - top + block.height, block.x - left : block.x - left + block.width]
        self._canvas.write(block, np.rint(share * np.float32(_ONE)).astype(np.uint16))
        rows, columns = (np.arange(0, side, CELL_PX) for side in share.shape[:2])
        largest = np.maximum.reduceat(np.maximum.reduceat(share[..., 0], rows, 0), columns, 1)
        y, x = block.y // CELL_PX, block.x // CELL_PX
        self.cells[y : y + largest.shape[0], x : x + largest.shape[1]] = largest > NEGLIGIBLE
