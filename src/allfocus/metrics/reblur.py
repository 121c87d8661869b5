"""Re-blur consistency: a restored photo, blurred again by its defocus map, must give back the blurred photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.errors import InputError
from allfocus.metrics.pixels import as_pair
from allfocus.metrics.psnr import psnr

VERSION = "disc-gather-gamma2.2-v1"
GAMMA = 2.2
SUPERSAMPLING = 5


def reblur_consistency(restored: ArrayLike, source: ArrayLike, radius_px: ArrayLike, levels: int = 12) -> float:
    """PSNR in dB of `restored`, blurred by discs of `radius_px`, against `source`. Needs no ground truth.

    Args:
        restored: float (H, W[, C]) in [0, 1].
        source: the blurred photo it was made from, the same shape.
        radius_px: (H, W) blur radius at each pixel in px; signs are ignored.
        levels: how many radii are blurred; pixels between two of them mix both.
    Raises:
        InputError: images or a map that do not fit together.
    Source: our own definition; disc of uniform weight (thin lens, geometric optics) in linear light (power 2.2). Each
        pixel gathers with its own radius, so depth edges carry an error that a true renderer would not have.
    """
    first, second = as_pair(restored, source)
    blurred = reblur(first, radius_px, levels)
    return psnr(blurred, second)


def reblur(image: ArrayLike, radius_px: ArrayLike, levels: int = 12) -> NDArray[np.float64]:
    """`image` (H, W, C) in [0, 1], each pixel blurred by a disc of its own radius (H, W) in px; border replicated."""
    unit, _ = as_pair(image, image)
    radii = np.abs(np.asarray(radius_px, dtype=np.float64))
    if radii.shape != unit.shape[:2] or not np.isfinite(radii).all() or levels < 1:
        raise InputError(
            f"a defocus map of shape {radii.shape} for a photo of shape {unit.shape[:2]}, at {levels} levels",
            "one finite radius per pixel and at least one level",
            "resize the map to the photo and scale its values by the same factor",
        )
    linear = np.clip(unit, 0.0, 1.0) ** GAMMA
    stops = np.unique(np.linspace(radii.min(), radii.max(), levels))
    result = np.zeros_like(linear)
    for index, stop in enumerate(stops):
        weight = _hat(radii, stops, index)  # (H, W), the weights of all stops sum to 1
        if weight.any():
            result += weight[..., None] * _disc_blur(linear, float(stop))
    return np.clip(result, 0.0, 1.0) ** (1 / GAMMA)


def _hat(radii: NDArray[np.float64], stops: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    return np.interp(radii, stops, np.eye(len(stops))[index])


def disc(radius_px: float) -> NDArray[np.float64]:
    """A disc of that radius, anti-aliased, odd and square, sum 1; 1x1 for a radius of half a pixel or less."""
    reach = max(0, int(np.ceil(radius_px - 0.5)))
    samples = (2 * reach + 1) * SUPERSAMPLING
    fine = (2 * np.arange(samples) - (samples - 1)) / (2 * SUPERSAMPLING)
    inside = (fine[:, None] ** 2 + fine[None, :] ** 2 <= max(radius_px, 0.5) ** 2).astype(np.float64)
    size = 2 * reach + 1
    kernel = inside.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING).mean(axis=(1, 3))
    return kernel / kernel.sum()


def _disc_blur(image: NDArray[np.float64], radius_px: float) -> NDArray[np.float64]:
    kernel = disc(radius_px)
    reach = kernel.shape[0] // 2
    if reach == 0:
        return image
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    shape = padded.shape[:2]
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * np.fft.rfft2(kernel, shape)[..., None]
    full = np.fft.irfft2(spectrum, shape, axes=(0, 1))
    return full[2 * reach :, 2 * reach :]
