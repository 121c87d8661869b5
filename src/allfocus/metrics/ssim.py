"""Structural similarity, as scikit-image 0.18.1 computes it by default in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.errors import InputError
from allfocus.metrics.pixels import as_pair

VERSION = "box7-sample-covariance-float64"
WINDOW = 7
K1, K2 = 0.01, 0.03


def ssim(restored: ArrayLike, target: ArrayLike) -> float:
    """Mean SSIM over the pixels whose whole window lies inside the image, then over channels.

    The window is 7x7 and uniform, covariances are those of a sample (n / (n - 1)), K1 = 0.01, K2 = 0.03, peak 1.

    Args:
        restored, target: float (H, W[, C]) in [0, 1] of one shape, at least 7x7.
    Raises:
        InputError: shapes that differ or are under 7x7, integers, values that are not finite.
    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, eq. 13; the window and border are the defaults of
        scikit-image 0.18.1, which the IFAN comparison was made with. Newer versions stay in float32 for float32 images.

    >>> scene = np.random.default_rng(0).random((16, 16, 3))
    >>> ssim(scene, scene)
    1.0
    """
    first, second = as_pair(restored, target)
    height, width, channels = first.shape
    if min(height, width) < WINDOW:
        raise InputError(f"images of {width}x{height} px", f"at least {WINDOW}x{WINDOW} for SSIM", "a larger area")
    return float(np.mean([_channel(first[..., c], second[..., c]) for c in range(channels)]))


def _channel(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    samples = WINDOW * WINDOW
    sample = samples / (samples - 1)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = sample * (_window_mean(x * x) - mean_x * mean_x)
    variance_y = sample * (_window_mean(y * y) - mean_y * mean_y)
    covariance = sample * (_window_mean(x * y) - mean_x * mean_y)
    c1, c2 = K1**2, K2**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float(np.mean(luminance * structure))


def _window_mean(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W) -> (H - 6, W - 6): the mean of every window that fits, by running sums down and then across."""
    down = np.cumsum(np.pad(plane, ((1, 0), (0, 0))), axis=0)
    rows = down[WINDOW:] - down[:-WINDOW]
    across = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), axis=1)
    return (across[:, WINDOW:] - across[:, :-WINDOW]) / (WINDOW * WINDOW)
