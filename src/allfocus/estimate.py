"""The defocus map that IFAN's own disparity estimate amounts to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from allfocus.engine.base import Engine
from allfocus.errors import OptionError
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import plan
from allfocus.restore import OVERLAP_PX
from allfocus.weights.card import Card

DISPARITY_TO_RADIUS = 2 / 0.8
"""Disparity is kappa / 2 times the blur radius; kappa of two real cameras is about 0.8 (see simulate.lens)."""


def radius_map(
    photo: Photo, engine: Engine, card: Card, progress: Callable[[float, str], None] | None = None
) -> NDArray[np.float32]:
    """Blur radius at each pixel, at the photo's full size, tile by tile.

    Args:
        photo: decoded.
        engine: runs the network that the card describes.
        card: multiple, context and tile size of the network.
        progress: called with the share done.

    Returns:
        (H, W) float32 radius of the defocus disc in px, 0 or more. What the network tells is a value for each cell of
        `card.multiple` px; in between it is interpolated.

    Raises:
        OptionError: a network that estimates no disparity.
        EngineMemoryError: a tile does not fit.
    """
    reader, side = photo.unit(), card.multiple
    tiles = plan(
        reader.width, reader.height, side=card.tile_px, halo=card.context_px, overlap=OVERLAP_PX, multiple=side
    ).tiles
    cells = np.zeros((-(-reader.height // side), -(-reader.width // side)), dtype=np.float32)
    for done, tile in enumerate(tiles, start=1):
        batch = np.ascontiguousarray(reader.read(tile.source).transpose(2, 0, 1)[None])
        disparity = engine.run(batch).disparity
        if disparity is None:
            raise OptionError(f"{card.name}, which estimates no disparity", "a network that does", "ifan or ifan-fast")
        top, left = tile.target.y // side, tile.target.x // side
        bottom, right = (
            -(-(tile.target.y + tile.target.height) // side),
            -(-(tile.target.x + tile.target.width) // side),
        )
        first_y, first_x = tile.source.y // side, tile.source.x // side
        cells[top:bottom, left:right] = disparity[
            0, 0, top - first_y : bottom - first_y, left - first_x : right - first_x
        ]
        if progress is not None:
            progress(done / len(tiles), "network")
    radius_px = np.abs(cells) * np.float32(DISPARITY_TO_RADIUS * side)
    return _enlarged(radius_px, side)[: reader.height, : reader.width]


def _enlarged(cells: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Linear interpolation between the middles of cells of `side` px; flat beyond the outermost middles."""
    for axis in (0, 1):
        count = cells.shape[axis]
        place = np.clip((np.arange(count * side) + 0.5) / side - 0.5, 0, count - 1)
        below = np.minimum(place.astype(np.intp), max(count - 2, 0))
        share = (place - below).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        above = np.minimum(below + 1, count - 1)
        cells = np.take(cells, below, axis) * (1 - share) + np.take(cells, above, axis) * share
    return cells
