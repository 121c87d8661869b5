"""Mean absolute error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from allfocus.metrics.pixels import as_pair

VERSION = "rgb-mean-float64"


def mae(restored: ArrayLike, target: ArrayLike) -> float:
    """Mean |restored - target| over pixels and channels, in [0, 1]. Published tables print it times ten.

    Args:
        restored, target: float (H, W[, C]) in [0, 1] of one shape.
    Raises:
        InputError: shapes that differ, integers, values that are not finite.

    >>> round(mae(np.zeros((2, 2, 3)), np.full((2, 2, 3), 0.25)), 3)
    0.25
    """
    first, second = as_pair(restored, target)
    return float(np.mean(np.abs(first - second)))
