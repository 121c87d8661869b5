"""Simulated scenes in linear light: drawn or taken from photos, and how a wide aperture blurs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.frame import Image, read
from allfocus.capture.opencv import cv2
from allfocus.errors import DataError
from allfocus.metrics.reblur import disc

MARGIN_PX = 64
"""Around what the first camera sees, for the second one to look at."""
SUBPIXELS = 2


def blurred_by_depth(
    sharp: Image, generator: np.random.Generator, largest_px: float
) -> tuple[Image, NDArray[np.float32]]:
    """A photo of the scene with a wide aperture, and its blur radius in px: (H, W, 3) and (H, W).

    A background in focus on one side and out of it on the other, and two things before it, drawn from far to near.
    """
    height, width = sharp.shape[:2]
    ends = generator.permutation([generator.uniform(0, 0.4), largest_px])
    across = np.clip((np.linspace(0, 1, width, dtype=np.float32) - 0.35) / 0.4, 0, 1)
    ramp = (ends[0] + (ends[1] - ends[0]) * across)[None].repeat(height, 0)
    stops = np.linspace(0, largest_px, 10)
    result = np.zeros_like(sharp)
    for index, stop in enumerate(stops):
        weight = np.interp(ramp, stops, np.eye(len(stops))[index]).astype(np.float32)
        result += weight[..., None] * disc_blur(sharp, float(stop))
    radius = ramp.copy()
    for _ in range(2):
        own = float(generator.choice([generator.uniform(0, 0.4), generator.uniform(1, largest_px)]))
        mask = np.zeros((height, width), np.float32)
        centre = (int(generator.uniform(0.2, 0.8) * width), int(generator.uniform(0.2, 0.8) * height))
        axes = (int(generator.uniform(0.1, 0.2) * width), int(generator.uniform(0.1, 0.2) * height))
        cv2.ellipse(mask, centre, axes, float(generator.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
        cover = disc_blur(mask, own)
        result = result * (1 - cover[..., None]) + disc_blur(sharp * mask[..., None], own)
        radius = np.where(mask > 0.5, own, radius).astype(np.float32)
    return result, radius


def drawn(generator: np.random.Generator, size: tuple[int, int]) -> Image:
    """A scene of shapes with texture on them, in linear light, with the margin around it."""
    height, width = ((side + 2 * MARGIN_PX) * SUBPIXELS for side in size)
    image = np.empty((height, width, 3), np.float32)
    image[:] = generator.uniform(0.15, 0.5, 3)
    for _ in range(90):
        centre = generator.uniform(0, 1, 2) * (width, height)
        corners = int(generator.integers(3, 8))
        angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
        reach = generator.uniform(0.02, 0.18) * width * generator.uniform(0.6, 1.0, corners)
        shape = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
        colour = (generator.uniform(0.05, 0.85, 3) * generator.uniform(0.5, 1)).tolist()
        cv2.fillPoly(image, [shape.astype(np.int32)], colour)
    for _ in range(140):
        ends = (generator.uniform(0, 1, (2, 2)) * (width, height)).astype(int)
        near = ends[0] + ((ends[1] - ends[0]) * 0.2).astype(int)
        colour = generator.uniform(0.02, 0.9, 3).tolist()
        cv2.line(image, ends[0].tolist(), near.tolist(), colour, int(generator.integers(1, 5)))
    for sigma, strength in ((1.2, 0.10), (3.0, 0.10), (10.0, 0.12)):
        grain = cv2.GaussianBlur(generator.normal(size=(height, width)).astype(np.float32), (0, 0), sigma)
        image *= np.exp(strength * grain / grain.std())[..., None]
    small = image.reshape(height // SUBPIXELS, SUBPIXELS, width // SUBPIXELS, SUBPIXELS, 3).mean(axis=(1, 3))
    return np.clip(small, 0.004, 0.92).astype(np.float32)


def taken(path: Path, size: tuple[int, int], generator: np.random.Generator) -> Image:
    """A part of a photo, as large as a view with its margin. DataError where it is smaller."""
    linear = read(path).linear
    height, width = (side + 2 * MARGIN_PX for side in size)
    if linear.shape[0] < height or linear.shape[1] < width:
        raise DataError(
            f"{path.name} of {linear.shape[1]}x{linear.shape[0]} px", f"at least {width}x{height}", "a smaller --size"
        )
    top, left = (
        int(generator.integers(0, have - want + 1)) for have, want in zip(linear.shape, (height, width), strict=False)
    )
    return np.clip(linear[top : top + height, left : left + width] * 0.92, 0.002, 0.92)


def disc_blur(image: NDArray[np.float32], radius_px: float) -> NDArray[np.float32]:
    """A disc blur, float32 (H, W) or (H, W, C), the border repeated; below a radius of 0.3 px nothing happens."""
    if radius_px <= 0.3:
        return image
    return cv2.filter2D(image, -1, disc(max(radius_px, 0.6)), borderType=cv2.BORDER_REPLICATE)
