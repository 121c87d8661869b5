"""Focus stacks: photos of one still scene at different focus, fused into one all-in-focus picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus import targets
from allfocus.atomic_file import make_folder
from allfocus.capture.frame import Frame, Image, encoded, photos, read
from allfocus.capture.opencv import cv2
from allfocus.capture.picture import largest_box, write_png
from allfocus.capture.register import inside
from allfocus.errors import DataError
from allfocus.metrics.registration import displacement, register, warped
from allfocus.photo.color import luma

FEWEST = 2
LEAST_OVERLAP = 0.5
FARTHEST = 0.1
"""Of the longer side: a frame that moved by more than this is not of the same stack."""
BAND_PX = (0.7, 2.0)
LOOK_PX = (2.0, 6.0)
"""Sharpness is compared over these distances (sigma); the larger one decides where the smaller one sees nothing."""
SEAM_PX = 2.0
POWER = 4.0
FLOOR = 1e-6


@dataclass(frozen=True)
class Fused:
    """A picture that is sharp everywhere.

    Attributes:
        linear: linear light, float32 (H, W, 3), in the frame of the first photo, cropped to what all frames saw.
        chosen: which frame is sharpest at each pixel, (H, W).
        warps: (3, 3) for each frame, from pixels of the first one to its own.
        gains: factors on each frame's light.
        box: (x, y, width, height) of the crop in the first frame.
    """

    linear: Image = field(repr=False)
    chosen: NDArray[np.int64] = field(repr=False)
    warps: tuple[NDArray[np.float64], ...]
    gains: tuple[float, ...]
    box: tuple[int, int, int, int]

    @property
    def largest_move_px(self) -> float:
        """The largest displacement of any frame against the first."""
        shape = self.linear.shape[:2]
        return max(float(np.abs(displacement(warp, shape)).max()) for warp in self.warps)


def fuse(frames: Sequence[Frame]) -> Fused:
    """Align frames with the first one, then take each place from the frame that is sharpest there.

    Frames are aligned one with the next, whose blur is similar, by affine warps (focus breathing is a scale). Sharpness
    is the energy of fine detail around a pixel; the weights of the sharpest frames are smoothed so that no seam shows.

    Args:
        frames: two or more of one size, in the order of their focus.
    Raises:
        DataError: fewer than two, several sizes, or frames that do not show one scene.
    """
    if len(frames) < FEWEST:
        raise DataError(f"a stack of {len(frames)}", "two frames or more", "photos of one scene at different focus")
    if len({frame.shape for frame in frames}) > 1:
        raise DataError("frames of several sizes", "one size", "remove the frames of other cameras")
    shape = frames[0].shape
    lumas = [frame.luma for frame in frames]
    warps = [np.eye(3)]
    for before, after in pairwise(lumas):
        step = register(after, before, "affine")
        warps.append(step @ warps[-1])
    for number, warp in enumerate(warps):
        if np.abs(displacement(warp, shape)).max() > FARTHEST * max(shape):
            raise DataError(f"frame {number + 1} shows another part of the scene", "a tripod", "leave that frame out")
    laid, gains = [], []
    for frame, warp in zip(frames, warps, strict=True):
        light = frame.linear if frame is frames[0] else warped(frame.linear, warp).astype(np.float32)
        gain = _gain(frames[0].linear, light)
        laid.append(np.clip(light * np.float32(gain), 0, 1))
        gains.append(gain)
    weights, chosen = _weights([luma(encoded(light)) for light in laid])
    linear = np.zeros_like(laid[0])
    for light, weight in zip(laid, weights, strict=True):
        linear += light * weight[..., None]
    box = _seen_by_all(warps, shape)
    left, top, width, height = box
    cut = np.s_[top : top + height, left : left + width]
    return Fused(linear[cut], chosen[cut], tuple(warps), tuple(gains), box)


def fuse_files(folder: Path, output: Path, bits: int = 16, first: Path | None = None) -> Fused:
    """Fuse the photos of a folder, by name in the order of focus, and write the picture as PNG of 8 or 16 bits.

    Into `first` goes the first frame, cropped as the picture is: the two are a pair.

    Raises:
        DataError: as `fuse`, or a folder that does not exist. InputError: a photo that cannot be read.
        OutputError: a place that cannot be written, or that is one of the frames.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}", "a folder of photos", "check the name")
    paths = photos(folder)
    targets.check([output] if first is None else [output, first], paths)
    frames = [read(path) for path in paths]
    fused = fuse(frames)
    for place in (output, *([] if first is None else [first])):
        make_folder(place.parent)
    write_png(encoded(fused.linear), output, bits)
    if first is not None:
        left, top, width, height = fused.box
        write_png(encoded(frames[0].linear[top : top + height, left : left + width]), first, bits)
    return fused


def _gain(first: Image, other: Image) -> float:
    counted = (first.max(axis=2) < 0.95) & (other.max(axis=2) < 0.95) & (other.min(axis=2) > 0.002)
    return float(np.median(first[counted].sum(axis=1) / other[counted].sum(axis=1))) if counted.any() else 1.0


def _weights(lumas: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """How much of each frame goes into each pixel, (n, H, W) with sum 1, and the sharpest frame, (H, W)."""
    bands = [
        (cv2.GaussianBlur(plane, (0, 0), BAND_PX[0]) - cv2.GaussianBlur(plane, (0, 0), BAND_PX[1])) ** 2
        for plane in lumas
    ]
    energy = np.zeros((len(bands), *bands[0].shape), np.float32)
    for look in LOOK_PX:
        around = np.stack([cv2.GaussianBlur(band, (0, 0), look) for band in bands])
        energy += around / (around.max(axis=0) + FLOOR)
    best = energy.argmax(axis=0)
    shares = (energy / energy.max(axis=0)) ** (POWER * 4)
    shares /= shares.sum(axis=0)
    smooth = np.stack([cv2.GaussianBlur(share, (0, 0), SEAM_PX) for share in shares])
    return smooth / smooth.sum(axis=0), best


def _seen_by_all(warps: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    return largest_box(np.logical_and.reduce([inside(warp, shape, shape) for warp in warps]))
