"""Baselines on decoded photos keep depth and bands, and leave alone what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.baselines.registry import load, map_photo, restore_photo
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(33, 47, 3), (33, 47)])
def test_depth_and_bands_are_kept(dtype: type, shape: tuple[int, ...]) -> None:
    peak = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    values = np.random.default_rng(0).random(shape)
    photo = decode((values * peak).astype(dtype), max_pixels=10**6)
    canvas = restore_photo(load("ebdb"), photo)
    pixels = canvas.read(Box(0, 0, 47, 33))
    assert pixels.dtype == dtype
    assert pixels.shape == (33, 47, photo.bands)
    assert map_photo(load("ebdb"), photo).shape == (33, 47)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_without_blur_every_pixel_stays_to_the_bit(dtype: type) -> None:
    pixels = np.full((64, 50, 3), np.iinfo(dtype).max // 3, dtype=dtype)  # no edge anywhere, so sigma 0
    canvas = restore_photo(load("ebdb"), decode(pixels, max_pixels=10**6))
    assert np.array_equal(canvas.read(Box(0, 0, 50, 64)), pixels)
