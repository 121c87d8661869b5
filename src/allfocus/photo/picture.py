"""Pixels that the package made itself as a picture of libvips, without profile or metadata."""

from __future__ import annotations

import numpy as np
import pyvips
from numpy.typing import NDArray


def picture_of(values: NDArray[np.floating], bits: int = 8) -> pyvips.Image:
    """Display-referred (H, W, 3) in [0, 1], clipped, as codes of 8 or 16 bits in sRGB."""
    peak, dtype, space = (65535, np.uint16, "rgb16") if bits == 16 else (255, np.uint8, "srgb")
    codes = np.rint(np.clip(values, 0, 1) * peak).astype(dtype)
    return pyvips.Image.new_from_array(np.ascontiguousarray(codes), interpretation=space)
