"""The baselines on decoded photos, in the photo's own depth and bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allfocus.baselines.progress import Progress
from allfocus.baselines.registry import Options, defocus_map, run
from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box


def map_photo(
    name: str, photo: Photo, progress: Progress | None = None, options: Options | None = None
) -> NDArray[np.float32]:
    """Defocus map of a photo: (H, W) float32 blur radius in px; errors as `registry.defocus_map`."""
    return defocus_map(name, _unit(photo), progress, weights=(options or Options()).weights)


def restore_photo(name: str, photo: Photo, progress: Progress | None = None, options: Options | None = None) -> Canvas:
    """A photo made sharp, whole in memory; pixels that the method leaves alone are bit for bit as they came.

    Args:
        name: a key of `registry.METHODS`.
        photo: decoded.
        progress: called with (share done, what is being done).
        options: as `registry.run`.

    Returns:
        Pixels in the photo's own depth and bands, for `photo.codecs.encode`.

    Raises:
        What `registry.run` raises.
    """
    sharp = run(name, _unit(photo), progress, options).sharp
    if photo.bands == 1:
        sharp = sharp.mean(axis=2, keepdims=True)
    pixels = sharp * np.float32(photo.peak)
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    whole = Box(0, 0, photo.width, photo.height)
    canvas.write(whole, (pixels if photo.depth == 32 else np.rint(pixels)).astype(photo.dtype))
    return canvas


def _unit(photo: Photo) -> NDArray[np.float32]:
    """(H, W, 3) in [0, 1]; float photos may leave that range, which none of the methods was made for."""
    return np.clip(photo.unit().read(Box(0, 0, photo.width, photo.height)), 0.0, 1.0)
