"""A mask: where a photo may be changed, and by how much."""

from __future__ import annotations

import numpy as np

from allfocus.errors import InputError
from allfocus.photo.photo import Photo, fetch
from allfocus.photo.tiling import Box

SHAPE_TOLERANCE = 0.02


class Mask:
    """A grey picture of the photo's shape, in any size: black leaves a place as it is, white changes it fully.

    Colours are averaged, transparency is ignored. InputError: a picture of another shape than `width` x `height`.
    """

    def __init__(self, picture: Photo, width: int, height: int) -> None:
        across, down = width / picture.width, height / picture.height
        coarse = 1 / min(picture.width, picture.height)  # a small mask cannot be more exact
        if abs(across / down - 1) > SHAPE_TOLERANCE + coarse:
            raise InputError(
                f"a mask of {picture.width}x{picture.height} for a photo of {width}x{height}",
                "the size of the upright photo",
                f"a mask of {width}x{height} px",
            )
        self._peak = picture.peak
        image = picture.image
        self._grey = image if image.bands == 1 else image.cast("float").bandmean()
        self._grey = self._grey.cast("float")
        if (picture.width, picture.height) != (width, height):
            resized = self._grey.resize(across, vscale=down, kernel="linear")
            self._grey = resized.embed(0, 0, width, height, extend="copy").copy_memory()

    def share(self, box: Box) -> np.ndarray:
        """(h, w, 1) float32 in [0, 1] at a box inside the photo: how much of the change is made."""
        return np.clip(fetch(self._grey, box) / np.float32(self._peak), 0, 1)
