"""Transfer functions of display-referred RGB, and the ways into it."""

from __future__ import annotations

import numpy as np
import pyvips


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] of sRGB code values in [0, 1] (IEC 61966-2-1), any shape, in the dtype given.

    >>> float(srgb_to_linear(np.array(1.0)))
    1.0
    """
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """SRGB code values in [0, 1] of linear light in [0, 1] (IEC 61966-2-1), any shape, in the dtype given.

    >>> round(float(linear_to_srgb(np.array(0.5))), 4)
    0.7354
    """
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Luma (..., ) of display-referred RGB (..., 3): the weights of ITU-R BT.601, as 8-bit photos are read."""
    return rgb @ np.array([0.299, 0.587, 0.114], rgb.dtype)


def cmyk_to_srgb(image: pyvips.Image) -> pyvips.Image:
    """The sRGB picture of a CMYK picture of the same depth, through its own profile or a generic one.

    Raises:
        pyvips.Error: a profile that is damaged or not for CMYK, once pixels are read.
    """
    depth = 16 if image.format == "ushort" else 8
    return image.icc_transform(
        "srgb", embedded=True, input_profile="cmyk", intent="relative", black_point_compensation=True, depth=depth
    )
