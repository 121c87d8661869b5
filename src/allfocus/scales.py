"""Working scales: the sizes at which the network sees a photo, coarse to fine, and where each of them acts."""

from __future__ import annotations

import numpy as np

from allfocus.defocus.measure import Blur, local_radius_px, window_mean
from allfocus.errors import OptionError

SCALES = (4, 2, 1)
START_RADIUS_PX = {4: 28.0, 2: 12.0}
"""From which blur radius on (90th percentile, px) a coarser scale is worth its time (results/scales.ifan-fast.json).
SynDP gains from 8 px on, but the two real photos between 8 and 12 px lose."""
LEFT_ALONE_PX = (0.75, 1.5)
"""At a coarser scale: up to this radius nothing is done, from this one everything; finer ones do the rest."""
LEFT_ALONE_IN_THE_END_PX = (0.4, 1.1)
"""At the finest scale, which no other follows. A choice between real photos, whose places in focus are softer than a
pixel and gain, and soft things in focus, which are crispened. An edge from one pixel to the next counts as blurred
here, fine texture in focus does not."""
BEYOND_FULL_SIZE_PX = {4: (1.5, 2.0), 2: (2.0, 3.0)}
"""In px of a quarter and of half the size, after the network has worked on half: up to the first radius full size adds
to that, from the second, 8 and 6 px of the photo, nothing but time (results/full_size.ifan-fast.json). Either scale may
say so: where contrast is low, grain looks sharp at half size, and not at a quarter."""
CONTEXT_PX = 32  # beyond it `needs_scale` sees nothing


LARGE_PX = 6_000_000
"""From this many pixels on, a photo may be restored at half size only; smaller ones have no detail to spare."""


def check_scale(requested: str | int) -> None:
    """OptionError for anything but "auto", 1, 2 and 4."""
    if str(requested) not in ("auto", *map(str, SCALES)):
        raise OptionError(f"scale {requested!r}", "auto, 1, 2 or 4", "--scale auto")


def choose_scales(requested: str | int, width: int, height: int, blur: Blur, finest: int = 1) -> tuple[int, ...]:
    """The scales to work at, coarsest first.

    Args:
        requested: "auto", or 1, 2 or 4 for the coarsest (`check_scale`).
        width, height: of the photo in px.
        blur: what `measure_blur` found.
        finest: 1, or 2 to end at half size on photos of `LARGE_PX` and more.
    """
    if str(requested) == "auto":
        coarsest = next((scale for scale in SCALES if scale == 1 or blur.large_px > START_RADIUS_PX[scale]), 1)
    else:
        coarsest = int(requested)
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
    return blurred_share(local_radius_px(pixels), finest=finest)[..., None]


def blurred_share(radius_px: np.ndarray, *, finest: bool) -> np.ndarray:
    """`needs_scale` from the radius at each place, (h, w)."""
    return window_mean(_rising(radius_px, LEFT_ALONE_IN_THE_END_PX if finest else LEFT_ALONE_PX))


def left_for_full_size(radius_px: np.ndarray, scale: int) -> np.ndarray:
    """Where full size has something to add once half size is done: (h, w) float32, 1 up to a radius and 0 far beyond.

    Args:
        radius_px: (h, w), at each place of the photo reduced to a scale, in its px.
        scale: 2 or 4.
    """
    return window_mean(1 - _rising(radius_px, BEYOND_FULL_SIZE_PX[scale]))


def _rising(radius_px: np.ndarray, between: tuple[float, float]) -> np.ndarray:
    low, high = between
    share = np.clip((radius_px - low) / (high - low), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32, copy=False)
