"""Working scales: the sizes at which the network sees a photo, coarse to fine, and where each of them acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from allfocus import compiled
from allfocus.defocus.measure import FLAT, WINDOW_PX, Blur, local_radius_px, window_mean
from allfocus.errors import OptionError

SCALES = (4, 2, 1)
START_TYPICAL_PX, START_LARGE_PX = {4: 28.0, 2: 12.5}, {4: 32.0, 2: 17.0}
"""From which typical or large radius on (px) a coarser scale is worth its time (results/scales.ifan-fast.json). Planes
gain from about 12 px on; a real photo with a typical radius of 11.7 px and a large one of 16.4 px loses."""
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
GRID_PX = 4  # the pipeline measures need at every fourth pixel
TEXTURE = 5 * FLAT  # squared gradient from which on there is texture to tell focus by
SHARP_PX = 0.4  # up to this radius texture is in focus
SOFT_PX = 1.2  # from this one on a patch of texture is not
AROUND_PX = 384  # of the photo: where most texture of such a square is in focus, its middle is, too
IN_FOCUS = (0.3, 0.5)
"""Blur changes slowly over a surface, texture does not: where from the first to the second share of the texture around
is sharp, what is soft there is soft by itself, and the network would crispen it (results/in_focus.ifan-fast.json)."""

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
        coarsest = next(scale for scale in SCALES if scale == 1 or _worth(scale, blur))
    else:
        coarsest = int(requested)
    smallest = min(width, height)
    scales = tuple(scale for scale in SCALES if scale <= coarsest and (scale == 1 or smallest >= 32 * scale))
    if finest == 1 or width * height < LARGE_PX:
        return scales
    return scales[:-1] or (finest,)


def _worth(scale: int, blur: Blur) -> bool:
    return blur.typical_px > START_TYPICAL_PX[scale] or blur.large_px > START_LARGE_PX[scale]


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


Mean = Callable[[np.ndarray], np.ndarray]


def blurred_share(radius_px: np.ndarray, *, finest: bool, mean: Mean = window_mean) -> np.ndarray:
    """`needs_scale` from the radius at each place, (h, w); `mean` is over 25 px."""
    return mean(_rising(radius_px, LEFT_ALONE_IN_THE_END_PX if finest else LEFT_ALONE_PX))


def left_for_full_size(radius_px: np.ndarray, scale: int, mean: Mean = window_mean) -> np.ndarray:
    """Where full size has something to add once half size is done: (h, w) float32, 1 up to a radius and 0 far beyond.

    Args:
        radius_px: (h, w), at each place of the photo reduced to a scale, in its px.
        scale: 2 or 4.
        mean: over 25 px.
    """
    return mean(1 - _rising(radius_px, BEYOND_FULL_SIZE_PX[scale]))


def grid_mean(values: np.ndarray) -> np.ndarray:
    """`window_mean` of values on the grid of every fourth pixel, which stand for the pixels around them."""
    whole = WINDOW_PX // GRID_PX - 1  # squares that lie inside the window; of one on either side, a part does
    reach = whole // 2 + 1
    part = np.float32((WINDOW_PX - whole * GRID_PX) / (2 * GRID_PX))
    values = values.astype(np.float32, copy=False)
    if compiled.AVAILABLE:
        return compiled.window_means(values, float(part), GRID_PX / WINDOW_PX)
    for axis in (0, 1):
        padded = np.pad(values, [(reach, reach) if one == axis else (0, 0) for one in (0, 1)], mode="edge")
        length = values.shape[axis]
        shifted = [padded[start : start + length] if axis == 0 else padded[:, start : start + length]
                   for start in range(2 * reach + 1)]  # fmt: skip
        total = shifted[0] + shifted[-1]
        total *= part
        for one in shifted[1:-1]:
            total += one
        total *= np.float32(GRID_PX / WINDOW_PX)
        values = total
    return values


@dataclass(frozen=True)
class Texture:
    """How many samples of each cell have texture, and how many of these are sharp and soft: (rows, columns) float32."""

    textured: np.ndarray
    sharp: np.ndarray
    soft: np.ndarray

    def in_focus(self, cell_px: int, samples: int) -> np.ndarray:
        """How far a place is taken to be in focus because its surroundings are, whatever is measured there: 0 to 1.

        A patch of 3 x 3 soft cells and what borders on it is not: it may be a small thing out of focus.

        Args:
            cell_px: side of a cell in px of the photo.
            samples: of a whole cell.

        Returns:
            (rows + 1, columns + 1) float32, at the corners of the cells.
        """
        reach = max(1, round(AROUND_PX / cell_px / 2))
        sharp, textured = (_sums_at_corners(values, reach) for values in (self.sharp, self.textured))
        share = _rising(sharp / np.maximum(textured, 1), IN_FOCUS)
        around = sliding_window_view(np.pad(self.soft > samples / 2, 1, mode="edge"), (3, 3))
        soft = np.asarray(around.all(axis=(2, 3)))
        return np.where(_sums_at_corners(soft, 3) > 0, np.float32(0), share)


def _sums_at_corners(values: np.ndarray, reach: int) -> np.ndarray:
    """Sums over the cells that lie up to `reach` cells from each corner, (rows + 1, columns + 1)."""
    for axis in (0, 1):
        size = values.shape[axis]
        edges = np.arange(size + 1)
        sums = np.insert(np.cumsum(values, axis=axis, dtype=np.float64), 0, 0, axis=axis)
        values = np.take(sums, np.minimum(edges + reach, size), axis) - np.take(
            sums, np.maximum(edges - reach, 0), axis
        )
    return values


def _rising(radius_px: np.ndarray, between: tuple[float, float]) -> np.ndarray:
    low, high = between
    share = np.clip((radius_px - low) / (high - low), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32, copy=False)
