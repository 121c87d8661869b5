"""The arrays that every metric takes, and their means: a shift of brightness or colour shows in no other metric."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.errors import InputError

COLOUR_CHANNELS = 3


def as_unit(image: ArrayLike, name: str = "image") -> NDArray[np.float64]:
    """One image as float64 (H, W, C).

    Args:
        image: float array (H, W) or (H, W, C), display-referred, meant for [0, 1]; not clipped.
        name: what to call it in a refusal.
    Raises:
        InputError: integers (a PSNR of 8-bit codes against a peak of 1 would be silently wrong), another number of
            axes, no pixels, or values that are not finite.
    """
    array = np.asarray(image)
    if array.dtype.kind != "f":
        raise InputError(f"{name} holds {array.dtype} values", "float values in [0, 1]", "divide codes by 255 or 65535")
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(f"{name} has shape {array.shape}", "(height, width[, channels])", "pass one photo at a time")
    unit = array.astype(np.float64).reshape(array.shape[0], array.shape[1], -1)  # (H, W, C)
    if not np.isfinite(unit).all():
        raise InputError(f"{name} holds NaN or infinity", "finite values", "check what produced it")
    return unit


def as_pair(restored: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both images as float64 (H, W, C) of one shape; InputError when they cannot be compared."""
    first, second = as_unit(restored, "the restored image"), as_unit(target, "the target")
    if first.shape != second.shape:
        raise InputError(
            f"a restored image of shape {first.shape} against a target of shape {second.shape}",
            "two images of one size",
            "crop both to the same area; nothing is resized here",
        )
    return first, second


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
