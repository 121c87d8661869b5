"""The defocus map: the blur radius that the network's disparity amounts to, gathered tile by tile, coarse to fine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allfocus.errors import OptionError
from allfocus.photo.tiling import Box, Tile
from allfocus.weights.card import Card

KAPPA = 0.8
"""Slope of the dual-pixel split, as measured on two real cameras (Canon 5D IV, Pixel 4): disparity is KAPPA / 2 times
the signed blur radius."""
DISPARITY_TO_RADIUS = 2 / KAPPA
SOFT = 0.25


class DefocusMap:
    """Blur radius in px of the full-size photo, for each cell of the network's disparity.

    A stage determines the radius only where no coarser one has acted: elsewhere its input is already sharper.

    Args:
        width, height: of the full-size photo in px.
        side: of a cell in px of the stage's own picture.
        scale: the stage's working scale; a cell covers ``side * scale`` px of the photo.
        coarser: what the stage before found, if there was one.

    Attributes:
        signed_px: (rows, columns) float32, positive behind the plane of focus and negative in front of it.
    """

    def __init__(self, width: int, height: int, side: int, scale: int = 1, coarser: DefocusMap | None = None) -> None:
        self.width, self.height, self.side, self.scale = width, height, side, scale
        self.cell_px = side * scale
        grid = Box(0, 0, -(-width // self.cell_px), -(-height // self.cell_px))
        if coarser is None:
            self._before = self._settled_before = np.zeros((grid.height, grid.width), np.float32)
        else:
            factor = coarser.cell_px // self.cell_px
            self._before = _interpolated(coarser.signed_px, factor, grid)
            self._settled_before = _interpolated(coarser.settled, factor, grid)
        self.signed_px = self._before.copy()
        self.settled = self._settled_before.copy()

    def add(self, tile: Tile, disparity: NDArray[np.float32], acted: NDArray[np.float32]) -> None:
        """Add the network's disparity over a tile.

        Args:
            tile: of this stage's plan.
            disparity: (1, 1, h/side, w/side) over the tile's source, in cells.
            acted: (h, w, 1) over the same: how much of its correction this stage applies, 0 to 1.
        """
        side, source, target = self.side, tile.source, tile.target
        rows = slice(target.y // side, -(-(target.y + target.height) // side))
        columns = slice(target.x // side, -(-(target.x + target.width) // side))
        here = (
            slice(rows.start - source.y // side, rows.stop - source.y // side),
            slice(columns.start - source.x // side, columns.stop - source.x // side),
        )
        shares = acted.reshape(source.height // side, side, source.width // side, side).mean(axis=(1, 3))[here]
        told_px = disparity[0, 0][here] * np.float32(DISPARITY_TO_RADIUS * self.cell_px)
        before = self._settled_before[rows, columns]
        self.signed_px[rows, columns] = before * self._before[rows, columns] + (1 - before) * told_px
        self.settled[rows, columns] = before + (1 - before) * shares

    def read(self, box: Box | None = None) -> NDArray[np.float32]:
        """(h, w) float32 blur radius in px, 0 or more, at a box of the full-size photo; all of it when None."""
        return _interpolated(np.abs(self.signed_px), self.cell_px, box or Box(0, 0, self.width, self.height))

    def share_below(self, limit_px: float, box: Box) -> NDArray[np.float32]:
        """(h, w, 1): exactly 0 where the radius is `limit_px` or more, 1 at three quarters of it, soft between."""
        share = np.clip((limit_px - self.read(box)) / np.float32(SOFT * limit_px), 0, 1)
        return (share * share * (3 - 2 * share))[..., None].astype(np.float32, copy=False)


def check_estimates_defocus(card: Card) -> None:
    """OptionError for a network that estimates no disparity."""
    if "disparity" not in card.outputs:
        raise OptionError(f"{card.name}, which estimates no disparity", "one that estimates it", "ifan or ifan-fast")


def _interpolated(cells: NDArray[np.float32], side: int, box: Box) -> NDArray[np.float32]:
    """Cells of `side` px at a box of px: linear between their middles, flat beyond the outermost middles."""
    for axis, start, length in ((0, box.y, box.height), (1, box.x, box.width)):
        count = cells.shape[axis]
        place = np.clip((np.arange(start, start + length) + 0.5) / side - 0.5, 0, count - 1)
        below = np.minimum(place.astype(np.intp), max(count - 2, 0))
        share = (place - below).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        above = np.minimum(below + 1, count - 1)
        cells = (np.take(cells, below, axis) * (1 - share) + np.take(cells, above, axis) * share).astype(np.float32)
    return cells
