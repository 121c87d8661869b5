"""The defocus map that IFAN's own disparity estimate amounts to, without the photo that it was restoring."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from allfocus.defocus.map import check_estimates_defocus
from allfocus.engine.base import Engine
from allfocus.photo.photo import Photo
from allfocus.restore import Settings, restore
from allfocus.weights.card import Card


def defocus_map(
    photo: Photo,
    engine: Engine,
    card: Card,
    progress: Callable[[float, str], None] | None = None,
    scale: str | int = "auto",
) -> NDArray[np.float32]:
    """Blur radius at each pixel, coarse to fine and tile by tile: what `allfocus deblur --map` writes.

    Args:
        photo: decoded.
        engine: runs the network that the card describes.
        card: multiple, context and tile size of the network.
        progress: called with the share done of a working scale.
        scale: "auto", or the coarsest working scale 1, 2 or 4.

    Returns:
        (H, W) float32 radius of the defocus disc in px, 0 or more. What the network tells is a value for each cell of
        `card.multiple` px; in between it is interpolated.

    Raises:
        OptionError: a network that estimates no disparity.
        EngineMemoryError: a tile does not fit.
    """
    check_estimates_defocus(card)
    steps = restore(photo, engine, card, Settings(scale=scale))
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            end.value.canvas.close()
            return end.value.defocus_map.read()
        if progress is not None:
            progress(step.done / step.total, "network" if step.scale == 1 else f"network at 1/{step.scale}")
