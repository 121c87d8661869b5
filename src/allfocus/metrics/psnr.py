"""Peak signal-to-noise ratio, raw and after a fitted exposure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.metrics.pixels import as_pair

VERSION = "rgb-mse-peak1-float64"
FIT_VERSION = "rgb-gain-offset-unclipped-float64"
FLAT_VARIANCE = 1e-24


def psnr(restored: ArrayLike, target: ArrayLike) -> float:
    """10 log10(1 / MSE) in dB, the MSE over all pixels and channels; infinity for equal images.

    Args:
        restored: float (H, W[, C]) in [0, 1]; not rounded, not clipped here.
        target: the same shape.
    Raises:
        InputError: shapes that differ, integers, values that are not finite.
    Source: the protocol of the IFAN comparison (peak 1, no border removed).

    >>> round(psnr(np.full((4, 4, 3), 0.5), np.full((4, 4, 3), 0.6)), 3)
    20.0
    """
    first, second = as_pair(restored, target)
    return _decibel(float(np.mean((first - second) ** 2)))


def psnr_fit(restored: ArrayLike, target: ArrayLike) -> float:
    """PSNR in dB after one gain and one offset per channel, fitted to the target by least squares.

    The two shots of a real pair differ in exposure and vignetting, which raw PSNR counts as blur; this does not.
    The fitted image is not clipped. Arguments and errors as `psnr`.

    >>> scene = np.linspace(0.2, 0.6, 48).reshape(4, 4, 3)
    >>> psnr_fit(0.5 * scene + 0.1, scene) > 200
    True
    """
    first, second = as_pair(restored, target)
    gain, offset = fit_gain_offset(first, second)
    return _decibel(float(np.mean((gain * first + offset - second) ** 2)))


def fit_gain_offset(restored: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The gain and offset of each channel, two arrays (C,), that bring `restored` closest to `target` (least squares).

    A flat channel gets gain 0 and the target's mean. Arguments and errors as `psnr`.
    """
    first, second = as_pair(restored, target)
    first_mean, second_mean = first.mean(axis=(0, 1)), second.mean(axis=(0, 1))  # (C,)
    centred = first - first_mean
    variance = np.mean(centred**2, axis=(0, 1))
    covariance = np.mean(centred * (second - second_mean), axis=(0, 1))
    varies = variance > FLAT_VARIANCE
    gain = np.where(varies, covariance / np.where(varies, variance, 1.0), 0.0)
    return gain, second_mean - gain * first_mean


def _decibel(mean_squared_error: float) -> float:
    return math.inf if mean_squared_error == 0 else -10.0 * math.log10(mean_squared_error)
