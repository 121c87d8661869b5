"""A camera raw file small enough for a test."""

from __future__ import annotations

import io

import numpy as np
import tifffile

TOP = 4095


def dng(least: int = 200, most: int = 4000) -> bytes:
    """A small uncompressed DNG: a random Bayer mosaic of values in that range, with what LibRaw needs to develop it."""
    mosaic = np.random.default_rng(0).integers(least, most, (64, 96), dtype=np.uint16)
    file = io.BytesIO()
    tags = [
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50708, 2, 0, "Test Camera", True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, (0, 1, 1, 2), True),
        (50721, 10, 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
        (50717, 4, 1, TOP, True),
        (50778, 3, 1, 21, True),
        (271, 2, 0, "Maker", True),
    ]
    tifffile.imwrite(file, mosaic, photometric=32803, extratags=tags)
    return file.getvalue()
