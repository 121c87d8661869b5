"""A scene with structure of every size, and where a warp was planted: what registration is tested on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def scenery(seed: int = 0, shape: tuple[int, int] = (192, 256)) -> NDArray[np.float64]:
    """(H, W, 3) in [0.1, 0.9]: patches of colour with texture on them, drawn at twice the size and halved."""
    generator = np.random.default_rng(seed)
    height, width = 2 * shape[0], 2 * shape[1]
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.full((height, width, 3), 0.5)
    for _ in range(60):
        y, x = generator.integers(0, height), generator.integers(0, width)
        tall, wide = generator.integers(8, height // 3, 2)
        turn = generator.uniform(0, np.pi)
        across = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
        down = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
        image[(np.abs(across) < wide / 2) & (np.abs(down) < tall / 2)] = generator.uniform(0.2, 0.8, 3)
    for sigma in (1.5, 4, 12):
        texture = ndimage.gaussian_filter(generator.normal(size=(height, width)), sigma, mode="wrap")
        image += 0.05 * (texture / texture.std())[..., None]
    halved = image.reshape(shape[0], 2, shape[1], 2, 3).mean(axis=(1, 3))
    return np.clip(halved, 0.1, 0.9)


def planted(shape: tuple[int, ...], shift: tuple[float, float] = (0, 0), scale: float = 1, degrees: float = 0):
    """The warp (3, 3) about the middle of a picture of that shape: turned, scaled, then shifted by (x, y) px."""
    middle = np.array([[1, 0, (shape[1] - 1) / 2], [0, 1, (shape[0] - 1) / 2], [0, 0, 1.0]])
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    about = np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]], [0, 0, 1.0]])
    return middle @ about @ np.linalg.inv(middle)
