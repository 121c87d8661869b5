"""The local blur of one view relative to the other, and the sharp view blurred to match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.opencv import cv2
from allfocus.metrics.reblur import disc

Plane = NDArray[np.float32]

RADII_PX = (0.0, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 15.0, 20.0)
LOOK_PX = 7.0
"""Over how far (sigma of a Gaussian) one radius is chosen."""
SLOW_PX = 24.0
"""Differences smoother than this are light, not blur."""


@dataclass(frozen=True)
class BlurMatch:
    """The sharp view in linear light, float32 (H, W), `matched` by a disc of `radius_px` (H, W) at each pixel."""

    matched: Plane
    radius_px: Plane


def match_blur(sharp: Plane, blurred: Plane, largest_px: float = RADII_PX[-1]) -> BlurMatch:
    """Blur `sharp` by a disc at each pixel, to match `blurred`.

    Both are linear light, float32 (H, W), of one exposure up to what varies slowly, and lie on each other to a pixel
    or two. The radius is the one of `RADII_PX` with the least squared difference around the pixel.
    """
    wanted = _fast(blurred)
    radii = np.array([radius for radius in RADII_PX if radius <= largest_px], np.float32)
    stack = _stack(sharp, radii)
    errors = np.stack([cv2.GaussianBlur((_fast(one) - wanted) ** 2, (0, 0), LOOK_PX) for one in stack])
    chosen = np.argmin(errors, axis=0).astype(np.float32)
    chosen = cv2.GaussianBlur(cv2.medianBlur(chosen, 5), (0, 0), LOOK_PX / 2)
    radius_px = np.interp(chosen, np.arange(len(radii)), radii).astype(np.float32)
    return BlurMatch(_mixed(stack, chosen), radius_px)


def soften(image: NDArray[np.float32], radius_px: Plane) -> NDArray[np.float32]:
    """`image`, linear light (H, W) or (H, W, C), blurred at each pixel by a disc of its own radius (H, W) in px."""
    radii = np.array(RADII_PX, np.float32)
    level = np.interp(radius_px, radii, np.arange(len(radii))).astype(np.float32)
    return _mixed(_stack(image, radii), level)


def _stack(image: NDArray[np.float32], radii: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    kernels = [disc(float(radius)) for radius in radii]
    return [
        image if kernel.size == 1 else cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        for kernel in kernels
    ]


def _mixed(stack: list[NDArray[np.float32]], level: Plane) -> NDArray[np.float32]:
    """Between two pictures of the stack, as `level` (H, W) says pixel by pixel."""
    result = np.zeros_like(stack[0])
    for index, picture in enumerate(stack):
        weight = np.clip(1 - np.abs(level - index), 0, 1).astype(np.float32)
        result += (weight if picture.ndim == 2 else weight[..., None]) * picture
    return result


def _fast(plane: Plane) -> Plane:
    """The plane without what is smooth over `SLOW_PX`, which a quarter of the size holds as well."""
    height, width = plane.shape
    small = cv2.resize(plane, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(small, (0, 0), SLOW_PX / 4)
    return plane - cv2.resize(slow, (width, height), interpolation=cv2.INTER_LINEAR)
