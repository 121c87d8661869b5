"""Ringing without a target: by how much a restored photo overshoots its source."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.errors import OptionError, needs
from allfocus.metrics.pixels import as_pair

VERSION = "overshoot-local-range-v1"
LUMA = np.array([0.2126, 0.7152, 0.0722])


def ringing(restored: ArrayLike, source: ArrayLike, radius_px: int = 8) -> float:
    """Mean luminance by which `restored` leaves the range that `source` has nearby, in [0, 1]; 0 is none.

    Blur only ever averages, so a photo lies inside the range of its own sharp version; the way back may leave the
    blurred photo's range at small bright and dark details, but on the rims of edges and in flat areas that is ringing.
    Compare the index between methods on the same photo: a perfect restoration is small, not zero.

    Args:
        restored: float (H, W[, C]) in [0, 1].
        source: the photo it was made from, the same shape.
        radius_px: half size of the square neighbourhood whose minimum and maximum make the range.
    Raises:
        InputError: images that cannot be compared. OptionError: a radius below 0. MissingExtraError: no scipy.
    Source: our own definition. Laws: 0 for `source` itself, for any local average of it within the radius and for
        flat images; unchanged by adding one constant to both.

    >>> step = np.repeat([[0.2, 0.8]], 8, axis=1).reshape(1, 16, 1)
    >>> ringing(step, step)
    0.0
    """
    if radius_px < 0:
        raise OptionError(f"a ringing radius of {radius_px} px", "0 or more", "leave it at its default")
    first, second = as_pair(restored, source)
    ours, theirs = _luminance(first), _luminance(second)  # (H, W)
    with needs("ringing", "eval", "scipy"):
        from scipy.ndimage import maximum_filter, minimum_filter
    low, high = (find(theirs, 2 * radius_px + 1, mode="nearest") for find in (minimum_filter, maximum_filter))
    return float(np.mean(np.maximum(ours - high, 0.0) + np.maximum(low - ours, 0.0)))


def _luminance(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return image @ LUMA if image.shape[2] == LUMA.size else image.mean(axis=2)
