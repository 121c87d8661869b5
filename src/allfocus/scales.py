"""Working scales: at which sizes the network looks at a photo, coarse to fine, and where each of them acts."""

from __future__ import annotations

import numpy as np

from allfocus.defocus.measure import Blur, local_radius_px, window_mean
from allfocus.errors import OptionError

SCALES = (4, 2, 1)
START_RADIUS_PX = {4: 28.0, 2: 12.0}
"""From which blur radius on (90th percentile, px) a coarser scale is worth its time (results/scales.ifan-fast.json).
SynDP gains from 8 px on, but the two real photos at hand between 8 and 12 px lose."""
LEFT_ALONE_PX = (0.75, 1.5)
"""At a coarser scale: up to this radius nothing is done, from this one everything; finer ones do the rest."""
LEFT_ALONE_IN_THE_END_PX = (0.4, 1.1)
"""At the finest scale, which no other follows. A choice between real photos, whose places in focus are softer than a
pixel and gain, and soft things in focus, which are crispened. An edge from one pixel to the next counts as blurred
here, fine texture in focus does not."""
CONTEXT_PX = 32  # beyond it `needs_scale` sees nothing


LARGE_PX = 6_000_000
"""Photos of so many pixels may be worked on at half their size only; smaller ones have no detail to spare."""


def choose_scales(requested: str | int, width: int, height: int, blur: Blur, finest: int = 1) -> tuple[int, ...]:
    """The scales to work at, coarsest first.

    Args:
        requested: "auto", or 1, 2 or 4 for the coarsest.
        width: of the photo in px.
        height: of the photo in px.
        blur: what `measure_blur` found.
        finest: 1, or 2 to end at half size on photos of `LARGE_PX` and more.

    Raises:
        OptionError: for anything else.
    """
    if str(requested) == "auto":
        coarsest = next((scale for scale in SCALES if scale == 1 or blur.large_px > START_RADIUS_PX[scale]), 1)
    elif str(requested) in ("1", "2", "4"):
        coarsest = int(requested)
    else:
        raise OptionError(f"scale {requested!r}", "auto, 1, 2 or 4", "--scale auto")
    smallest = min(width, height)
    scales = tuple(scale for scale in SCALES if scale <= coarsest and (scale == 1 or smallest >= 32 * scale))
    if finest == 1 or width * height < LARGE_PX:
        return scales
    return scales[:-1] or (finest,)


def needs_scale(pixels: np.ndarray, *, finest: bool) -> np.ndarray:
    """Where a picture is blurred at its own scale: 0 where it is sharp there, so that this scale has nothing to do.

    Flat places count as blurred; nothing happens there.

    Args:
        pixels: (h, w, 3) float32 in [0, 1], the photo reduced to a working scale.
        finest: whether no finer scale follows.

    Returns:
        (h, w, 1) float32, rising from 0 to 1 between two blur radii in px of this picture.
    """
    nothing_px, everything_px = LEFT_ALONE_IN_THE_END_PX if finest else LEFT_ALONE_PX
    share = np.clip((local_radius_px(pixels) - nothing_px) / (everything_px - nothing_px), 0, 1)
    return window_mean(share * share * (3 - 2 * share))[..., None].astype(np.float32)
