"""Areas that a working scale has to process, measured before the network runs, so that tiles in focus are skipped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from allfocus.defocus.measure import local_radius_px
from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import Reader
from allfocus.photo.tiling import Box
from allfocus.scales import CONTEXT_PX, blurred_share, left_for_full_size

CELL_PX = 32
NEGLIGIBLE = 0.02
"""Where no pixel of a cell needs more than this share of the network's correction, the cell is left out: a correction
of 50 grey levels of 255 would be one. Where a photo is in focus the network's own are far smaller."""
NEGLIGIBLE_AFTER_HALF = 0.05
"""The same at full size where half size has done its part: there 999 of 1000 corrections are below 17 levels."""
BORDER_PX = 16  # as far as repeated edges are seen by a radius
_ONE = 65535.0
_ONE_OF_REST = 255.0
_BLOCK = (256, 512)  # rows and columns that the processor's cache holds with all that is made of them
_WORKERS = 2  # more of them spend their time on waiting for each other in Python


class Need:
    """What a working scale has to do at each place of a photo: `scales.needs_scale` and what coarser scales have left.

    Args:
        reader: the photo at that scale.
        width, height: in px, of the plane that tiles cover; beyond the reader's size its edges are repeated.
        finest: whether no finer scale follows.
        coarser: of the scale before, of half the size.
        rest: whether it also finds what it and the coarser ones leave for full size, which follows.
    """

    def __init__(
        self,
        reader: Reader,
        width: int,
        height: int,
        *,
        finest: bool,
        coarser: Need | None = None,
        rest: bool = False,
    ) -> None:
        self.width, self.height = width, height
        self._reader, self._finest = reader, finest
        self._coarser = coarser
        self._negligible = NEGLIGIBLE_AFTER_HALF if finest and coarser is not None else NEGLIGIBLE
        self._canvas = Canvas(width, height, 1, np.uint16)
        self._rest = Canvas(width, height, 1, np.uint8) if rest else None
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
        self._coarser = None

    def read(self, box: Box) -> np.ndarray:
        """(h, w) float32 from 0 to 1 at a box inside."""
        return self._canvas.read(box)[..., 0] * np.float32(1 / _ONE)

    def close(self) -> None:
        """Release the scratch."""
        self._canvas.close()
        if self._rest is not None:
            self._rest.close()

    def _look(self, block: Box) -> None:
        left_over = None if self._coarser is None else self._coarser.left_for(block)
        if self._finest and left_over is not None and left_over.max() <= self._negligible:
            return
        left, top = max(block.x - CONTEXT_PX, 0), max(block.y - CONTEXT_PX, 0)
        right = min(block.x + block.width + CONTEXT_PX, self.width)
        bottom = min(block.y + block.height + CONTEXT_PX, self.height)
        seen = self._reader.planes(Box(left, top, right - left, bottom - top))
        inner = np.s_[block.y - top : block.y - top + block.height, block.x - left : block.x - left + block.width]
        radius_px = local_radius_px(seen.transpose(1, 2, 0))
        share = blurred_share(radius_px, finest=self._finest)[inner]
        if self._rest is not None:
            inside = self._without_borders(radius_px, Box(left, top, right - left, bottom - top))
            rest = left_for_full_size(inside, self._reader.shrink)[inner]
            rest = rest if left_over is None else rest * left_over
            self._rest.write(block, np.rint(rest * np.float32(_ONE_OF_REST)).astype(np.uint8)[..., None])
        elif left_over is not None:
            share = share * left_over
        self._canvas.write(block, np.rint(share * np.float32(_ONE)).astype(np.uint16)[..., None])
        rows, columns = (np.arange(0, side, CELL_PX) for side in share.shape)
        largest = np.maximum.reduceat(np.maximum.reduceat(share, rows, 0), columns, 1)
        y, x = block.y // CELL_PX, block.x // CELL_PX
        self.cells[y : y + largest.shape[0], x : x + largest.shape[1]] = largest > self._negligible

    def _without_borders(self, radius_px: np.ndarray, box: Box) -> np.ndarray:
        """The radii with those at the photo's borders, where repeated edges look sharp, taken from further inside."""
        reader = self._reader
        first = [BORDER_PX - min(start, BORDER_PX) for start in (box.y, box.x)]
        ends = [(reader.height, box.y, box.height), (reader.width, box.x, box.width)]
        last = [min(length, size - BORDER_PX - start) for size, start, length in ends]
        if min(last[0] - first[0], last[1] - first[1]) < 1:
            return radius_px  # too small to have an inside
        kept = radius_px[first[0] : last[0], first[1] : last[1]]
        around = [(low, length - high) for low, high, (_, _, length) in zip(first, last, ends, strict=True)]
        return np.pad(kept, around, mode="edge")

    def left_for(self, box: Box) -> np.ndarray | None:
        """(h, w) float32 from 0 to 1 at a box of the picture of twice the size, which starts at an even place."""
        if self._rest is None:
            return None
        half = Box(box.x // 2, box.y // 2, -(-box.width // 2), -(-box.height // 2))
        rest = self._rest.read(half)[..., 0].repeat(2, axis=0).repeat(2, axis=1)[: box.height, : box.width]
        return rest * np.float32(1 / _ONE_OF_REST)
