"""Channel means: a shift of brightness or colour that a sharpness metric would not show."""

from __future__ import annotations

from numpy.typing import ArrayLike

from allfocus.metrics.pixels import as_unit


def channel_means(image: ArrayLike) -> tuple[float, ...]:
    """The mean of each channel, in [0, 1].

    Args:
        image: float (H, W[, C]) in [0, 1].
    Raises:
        InputError: integers, no pixels, values that are not finite.

    >>> channel_means([[[0.25, 0.5, 1.0]]])
    (0.25, 0.5, 1.0)
    """
    return tuple(float(mean) for mean in as_unit(image).mean(axis=(0, 1)))
