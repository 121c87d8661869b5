"""Canny's edges with thresholds chosen from the picture itself.

Source: Canny, "A Computational Approach to Edge Detection", PAMI 1986; automatic thresholds as
in the `edge` function of MATLAB, which the authors of EBDB use.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_BINS = 64
_NOT_EDGE_SHARE = 0.7
_LOW_TO_HIGH = 0.4
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def edges(plane: NDArray, scale_px: float) -> NDArray[np.bool_]:
    """Thin edges (H, W) of a plane at one scale, in px of the smoothing Gaussian.

    Nothing is an edge in a constant plane, nor in the outermost rows and columns.
    """
    height, width = plane.shape
    if height < 3 or width < 3:
        return np.zeros(plane.shape, dtype=bool)
    across, down, magnitude = _gradient(plane, scale_px)
    peak = float(magnitude.max())
    # a constant plane still has rounding noise for a gradient
    if peak <= 8.0 * np.finfo(np.float32).eps * max(1.0, float(np.abs(plane).max())):
        return np.zeros(plane.shape, dtype=bool)
    magnitude /= peak
    counts, _ = np.histogram(magnitude, bins=_BINS, range=(0.0, 1.0))
    high = (np.searchsorted(np.cumsum(counts), _NOT_EDGE_SHARE * magnitude.size, side="right") + 1) / _BINS
    weak = _ridge(across, down, magnitude, _LOW_TO_HIGH * high)
    labels = np.empty(weak.shape, dtype=np.intp)
    count = ndimage.label(weak, structure=_EIGHT_NEIGHBOURS, output=labels)
    has_strong = np.zeros(int(count) + 1, dtype=bool)  # type: ignore[arg-type]
    has_strong[labels[weak & (magnitude > high)]] = True
    has_strong[0] = False
    return has_strong[labels]


def _gradient(plane: NDArray, scale_px: float) -> tuple[NDArray, NDArray, NDArray]:
    """Gradient across, down and its magnitude, float32, of the plane smoothed at `scale_px`."""
    reach = math.ceil(4 * scale_px)
    offset = np.arange(-reach, reach + 1)
    smooth = np.exp(-(offset**2) / (2 * scale_px**2))
    smooth /= smooth.sum()
    slope = np.gradient(smooth)
    slope /= slope[slope > 0].sum()
    single = np.asarray(plane, dtype=np.float32)
    # both derivatives come out with the opposite sign, which does not matter to a ridge
    across = ndimage.correlate1d(
        ndimage.correlate1d(single, smooth, axis=0, mode="nearest"), slope, axis=1, mode="nearest"
    )
    down = ndimage.correlate1d(
        ndimage.correlate1d(single, smooth, axis=1, mode="nearest"), slope, axis=0, mode="nearest"
    )
    return across, down, np.hypot(across, down)


def _ridge(across: NDArray, down: NDArray, magnitude: NDArray, low: float) -> NDArray[np.bool_]:
    """Pixels above `low` that are no smaller than their two neighbours along the gradient, interpolated linearly."""
    ridge = np.zeros(magnitude.shape, dtype=bool)
    y, x = np.nonzero(magnitude[1:-1, 1:-1] > low)
    y += 1
    x += 1
    step_x, step_y = across[y, x], down[y, x]
    flat = np.abs(step_x) >= np.abs(step_y)  # the gradient is nearer to the horizontal
    major = np.where(flat, np.abs(step_x), np.abs(step_y))
    minor = np.where(flat, np.abs(step_y), np.abs(step_x))
    slant = minor / major
    sign_x, sign_y = np.where(step_x < 0, -1, 1), np.where(step_y < 0, -1, 1)
    near_y, near_x = np.where(flat, 0, sign_y), np.where(flat, sign_x, 0)
    ahead = (1 - slant) * magnitude[y + near_y, x + near_x] + slant * magnitude[y + sign_y, x + sign_x]
    behind = (1 - slant) * magnitude[y - near_y, x - near_x] + slant * magnitude[y - sign_y, x - sign_x]
    here = magnitude[y, x]
    peak = (here >= ahead) & (here > behind)
    ridge[y[peak], x[peak]] = True
    return ridge
