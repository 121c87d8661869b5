"""Photos blurred by a known amount that grows from left to right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, signal, stats

TOP_PX = 4.0
PHOTOS = ("astronaut.png", "coffee.png", "rocket.jpg", "camera.png", "motorcycle_left.png", "brick.png", "grass.png")


@dataclass(frozen=True)
class KnownBlur:
    """A photo and the blur it was given: rgb (H, W, 3) in 8-bit steps, sigma_px (H, W), textured (H, W) bool."""

    name: str
    sharp: NDArray[np.float32]
    rgb: NDArray[np.float32]
    sigma_px: NDArray[np.float64]
    textured: NDArray[np.bool_]

    def score(self, estimated_px: NDArray) -> tuple[float, float]:
        """Spearman's rank correlation over textured places, and the mean error there in px."""
        found, true = estimated_px[self.textured][::7], self.sigma_px[self.textured][::7]
        return float(stats.spearmanr(found, true).statistic), float((found - true).mean())


def disc(radius_px: float) -> NDArray[np.float64]:
    """A disc of any radius, edges by 8-fold sampling, sum 1."""
    reach, fine = int(np.ceil(radius_px)) + 1, 8
    place = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    inside = place[:, None] ** 2 + place[None, :] ** 2 <= radius_px**2
    kernel = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean(axis=(1, 3))
    return kernel / kernel.sum()


def blurred(plane: NDArray, sigma_px: float, shape: str) -> NDArray:
    """One plane under a Gaussian, or the disc of the same variance."""
    if sigma_px == 0:
        return plane
    if shape == "gaussian":
        return ndimage.gaussian_filter(plane, sigma_px, mode="nearest")
    kernel = disc(2.0 * sigma_px)
    return signal.fftconvolve(np.pad(plane, len(kernel) // 2, mode="edge"), kernel, mode="valid")


def ramp(name: str, sharp: NDArray[np.float32], shape: str, steps: int = 17) -> KnownBlur:
    """Blur from 0 on the left to 4 px on the right."""
    width = sharp.shape[1]
    levels = np.linspace(0.0, TOP_PX, steps)
    stack = [np.stack([blurred(sharp[..., c], level, shape) for c in range(3)], axis=2) for level in levels]
    place = np.linspace(0.0, steps - 1.0, width)
    below = np.minimum(place.astype(int), steps - 2)
    share = (place - below)[None, :, None]
    columns = np.arange(width)
    stacked = np.stack(stack)  # (steps, H, W, 3)
    low, high = (stacked[below + k, :, columns].transpose(1, 0, 2) for k in (0, 1))
    mixed = np.rint(np.clip((1 - share) * low + share * high, 0, 1) * 255) / 255
    grey = sharp.mean(axis=2, dtype=np.float64)
    contrast = ndimage.uniform_filter(grey**2, 15) - ndimage.uniform_filter(grey, 15) ** 2
    sigma_px = np.broadcast_to(place * TOP_PX / (steps - 1), grey.shape)
    return KnownBlur(name, sharp, mixed.astype(np.float32), sigma_px, contrast > 0.04**2)


def sharp_photo(name: str) -> NDArray[np.float32]:
    """A photo that comes with scikit-image, (H, W, 3) in [0, 1]."""
    from skimage import io
    from skimage.data import data_dir  # type: ignore[attr-defined]

    pixels = np.asarray(io.imread(f"{data_dir}/{name}"), dtype=np.float32) / 255
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels[..., :3]


@pytest.fixture(scope="session")
def ramps() -> Callable[[str], list[KnownBlur]]:
    """ramps("gaussian" or "disc"): every photo with known blur; made once."""
    pytest.importorskip("skimage")
    made: dict[str, list[KnownBlur]] = {}

    def of(shape: str) -> list[KnownBlur]:
        if shape not in made:
            made[shape] = [ramp(name, sharp_photo(name), shape) for name in PHOTOS]
        return made[shape]

    return of


@pytest.fixture(scope="session")
def small_ramp() -> KnownBlur:
    """One small photo with known Gaussian blur."""
    pytest.importorskip("skimage")
    return ramp("astronaut.png", np.ascontiguousarray(sharp_photo("astronaut.png")[40:200, 120:312]), "gaussian")
