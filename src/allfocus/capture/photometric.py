"""One exposure for both views: gain, vignetting and offset of each colour, found where blur does not matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.frame import SATURATED, Frame, Image, encoded

BLOCK_PX = 8
DARKEST = 0.004
CALMEST = 0.7
"""The share of blocks that is used, the ones with the least structure in them."""
ROUNDS = 12
CAUCHY = 2.385
MAD_TO_SIGMA = 1.4826
SLOPE_SHARE = 0.02


@dataclass(frozen=True)
class ColourMatch:
    """For each channel: light = target * (gain + falloff r^2 + far r^4) + offset, r = 1 at the corners.

    Attributes:
        gain, falloff, far, offset: three numbers each, for red, green and blue.
        blocks: how many places decided.
        misfit: the median difference that is left at them, in levels of 255.
    """

    gain: tuple[float, ...]
    falloff: tuple[float, ...]
    far: tuple[float, ...]
    offset: tuple[float, ...]
    blocks: int
    misfit: float

    def apply(self, linear: Image) -> Image:
        """The target's light, float32 (H, W, 3), as the source's camera would have recorded it."""
        square = _radius_square(linear.shape[:2])[..., None]
        gain, falloff, far, offset = (
            np.array(one, np.float32) for one in (self.gain, self.falloff, self.far, self.offset)
        )
        return (linear * (gain + falloff * square + far * square**2) + offset).astype(np.float32)


IDENTITY = ColourMatch((1.0,) * 3, (0.0,) * 3, (0.0,) * 3, (0.0,) * 3, 0, 0.0)


def match_colours(source: Frame, target: Frame, soft: Image | None = None) -> ColourMatch:
    """Fit the target's light to the source's.

    The means of blocks of 8 px are compared, those with the least structure, since blur moves no light there; blocks
    that touch what is clipped, unseen or black are left out, and those that do not fit count little (Cauchy).

    Args:
        source: the blurred view.
        target: the sharp one, laid on it.
        soft: the target's light made as soft as the source, float32 (H, W, 3), where that is known.
    """
    ours, theirs = _blocks(source.linear), _blocks(target.linear if soft is None else soft)
    counted = _blocks((source.clipped | target.clipped)[..., None].astype(np.float32))[..., 0] == 0
    counted &= (ours.min(axis=2) > DARKEST) & (theirs.min(axis=2) > DARKEST) & (ours.max(axis=2) < SATURATED)
    if counted.sum() < 24:
        return IDENTITY
    structure = _blocks(_steep(target.linear)[..., None])[..., 0] / np.maximum(theirs.mean(axis=2), DARKEST)
    counted &= structure <= np.quantile(structure[counted], CALMEST)
    square = _blocks(_radius_square(source.shape)[..., None])[..., 0][counted].astype(np.float64)
    rows, misfits = [], []
    for channel in range(3):
        one, other = ours[..., channel][counted].astype(np.float64), theirs[..., channel][counted].astype(np.float64)
        coefficients, misfit = _fit(one, other, square)
        rows.append(coefficients)
        misfits.append(misfit)
    gain, falloff, far, offset = (tuple(float(row[index]) for row in rows) for index in range(4))
    return ColourMatch(gain, falloff, far, offset, int(counted.sum()), float(np.max(misfits)))


def _fit(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], square: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    design = np.stack([theirs, theirs * square, theirs * square**2, np.ones_like(theirs)], axis=1)
    scale = np.maximum(ours, DARKEST)[:, None]  # relative errors: as eyes, and as shot noise nearly does
    weights = np.ones(len(ours))
    ridge = np.diag([0.0, 1e-3, 1e-3, 1e-3]) * len(ours)
    solution = np.array([np.median(ours / theirs), 0.0, 0.0, 0.0])
    for _ in range(ROUNDS):
        scaled = design / scale
        normal = (scaled * weights[:, None]).T @ scaled + ridge
        solution = np.linalg.solve(normal, (scaled * weights[:, None]).T @ (ours / scale[:, 0]))
        left = (ours - design @ solution) / scale[:, 0]
        sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(left))), 1e-5)
        weights = 1 / (1 + (left / (CAUCHY * sigma)) ** 2)
    fitted = (design @ solution).astype(np.float32)
    difference = np.abs(encoded(fitted) - encoded(ours.astype(np.float32)))
    return np.asarray(solution, np.float64), float(np.median(difference) * 255)


def _radius_square(shape: tuple[int, ...]) -> NDArray[np.float32]:
    height, width = shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = (rows - (height - 1) / 2), (columns - (width - 1) / 2)
    return (x**2 + y**2) / max(((height - 1) / 2) ** 2 + ((width - 1) / 2) ** 2, 1e-6)


def _blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of blocks, (h, w, C)."""
    height, width = plane.shape[0] // BLOCK_PX, plane.shape[1] // BLOCK_PX
    cut = plane[: height * BLOCK_PX, : width * BLOCK_PX]
    return cut.reshape(height, BLOCK_PX, width, BLOCK_PX, -1).mean(axis=(1, 3))


def _steep(linear: Image) -> NDArray[np.float32]:
    down, across = np.gradient(linear.mean(axis=2))
    return np.hypot(down, across).astype(np.float32)
