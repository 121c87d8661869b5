"""Small photos as files of any format, for the tests of reading and writing them."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import tifffile

from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box

NOISE = np.random.default_rng(1).integers(0, 255, (60, 90, 4), dtype=np.uint8)
RGB = NOISE[..., :3]
FORMATS = ("jpeg", "png", "tiff", "webp", "avif")


def pillow(pixels: np.ndarray | PIL.Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    image.save(file, format, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def whole(photo: Photo) -> np.ndarray:
    return photo.read(Box(0, 0, photo.width, photo.height))


def canvas_of(photo: Photo) -> Canvas:
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    canvas.write(Box(0, 0, photo.width, photo.height), whole(photo))
    return canvas
