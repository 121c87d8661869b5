"""Photometric matching of two views: gain, vignetting and offset of each channel, fitted where blur does not matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.capture.frame import SATURATED, Frame, Image, encoded

BLOCK_PX = 8
DARKEST = 0.004
CALMEST = 0.7
"""The share of blocks that is used, the ones with the least structure in them."""
ROUNDS = 16
CAUCHY = 2.385
MAD_TO_SIGMA = 1.4826
RIDGE = 1e-4
"""Of the fit: a term that no block supports, as where both middles coincide, stays small."""


@dataclass(frozen=True)
class ColourMatch:
    """For each channel: light = target * (gain + falloff t^2 + far t^4 + own s^2 + own_far s^4) + offset.

    Each lens darkens towards the corners of its own picture: t is the distance from the middle of the target's, s from
    the middle of the source's, 1 at the corners.

    Attributes:
        gain, falloff, far, own, own_far, offset: three numbers each, for red, green and blue.
        blocks: how many places decided.
        misfit: the median difference that is left at them, in levels of 255.
    """

    gain: tuple[float, ...]
    falloff: tuple[float, ...]
    far: tuple[float, ...]
    own: tuple[float, ...]
    own_far: tuple[float, ...]
    offset: tuple[float, ...]
    blocks: int
    misfit: float

    def apply(self, linear: Image, warp: NDArray[np.float64] | None = None) -> Image:
        """The target's light, float32 (H, W, 3), as the source's camera would have recorded it.

        `warp`, (3, 3), is how the target was laid on the source; None is the identity.
        """
        gains = (np.array(one, np.float32) for one in (self.gain, self.falloff, self.far, self.own, self.own_far))
        factor = sum(gain * part[..., None] for gain, part in zip(gains, _terms(linear.shape[:2], warp), strict=True))
        return (linear * factor + np.array(self.offset, np.float32)).astype(np.float32)


_NONE = (0.0, 0.0, 0.0)
IDENTITY = ColourMatch((1.0, 1.0, 1.0), _NONE, _NONE, _NONE, _NONE, _NONE, 0, 0.0)


def match_colours(
    source: Frame, target: Frame, soft: Image | None = None, warp: NDArray[np.float64] | None = None
) -> ColourMatch:
    """Fit the target's light to the source's.

    The means of blocks of 8 px are compared, those with the least structure, since blur moves no light there; blocks
    that touch what is clipped, unseen or black are left out, and those that do not fit count little (Cauchy).

    Args:
        source: the blurred view.
        target: the sharp one, laid on it.
        soft: the target's light made as soft as the source, float32 (H, W, 3), where that is known.
        warp: (3, 3), how the target was laid on the source; the identity where None.
    """
    ours, theirs = _blocks(source.linear), _blocks(target.linear if soft is None else soft)
    counted = _blocks((source.clipped | target.clipped)[..., None].astype(np.float32))[..., 0] == 0
    counted &= (ours.min(axis=2) > DARKEST) & (theirs.min(axis=2) > DARKEST) & (ours.max(axis=2) < SATURATED)
    if counted.sum() < 24:
        return IDENTITY
    structure = _blocks(_steep(target.linear)[..., None])[..., 0] / np.maximum(theirs.mean(axis=2), DARKEST)
    counted &= structure <= np.quantile(structure[counted], CALMEST)
    terms = np.stack(_terms(source.shape, warp, BLOCK_PX), axis=-1)[counted].astype(np.float64)
    rows, misfits = [], []
    for channel in range(3):
        one, other = ours[..., channel][counted].astype(np.float64), theirs[..., channel][counted].astype(np.float64)
        coefficients, misfit = _fit(one, other, terms)
        rows.append(coefficients)
        misfits.append(misfit)
    gain, falloff, far, own, own_far, offset = (tuple(float(row[index]) for row in rows) for index in range(6))
    return ColourMatch(gain, falloff, far, own, own_far, offset, int(counted.sum()), float(np.max(misfits)))


def _fit(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], terms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    design = np.column_stack([theirs[:, None] * terms, np.ones_like(theirs)])
    scale = np.maximum(ours, DARKEST)[:, None]  # relative errors: as eyes, and as shot noise nearly does
    scaled = design / scale
    solution = np.array([np.median(ours / theirs), *[0.0] * (design.shape[1] - 1)])
    # from one gain to all terms: a person in the picture would otherwise look like vignetting
    for strength in np.geomspace(1, RIDGE, ROUNDS):
        left = (ours - design @ solution) / scale[:, 0]
        sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(left))), 1e-5)
        weights = 1 / (1 + (left / (CAUCHY * sigma)) ** 2)
        ridge = np.diag([0.0, *[strength * len(ours)] * (design.shape[1] - 1)])
        normal = (scaled * weights[:, None]).T @ scaled + ridge
        solution = np.linalg.solve(normal, (scaled * weights[:, None]).T @ (ours / scale[:, 0]))
    fitted = (design @ solution).astype(np.float32)
    difference = np.abs(encoded(fitted) - encoded(ours.astype(np.float32)))
    return np.asarray(solution, np.float64), float(np.median(difference) * 255)


def _terms(shape: tuple[int, ...], warp: NDArray[np.float64] | None, block_px: int = 1) -> list[NDArray[np.float32]]:
    """What each factor belongs to, (H, W) each: 1, and the squared distance from either middle and its square.

    With `block_px` at the middles of whole blocks, (H // block_px, W // block_px).
    """
    rows, columns = (np.arange(side // block_px) * block_px + (block_px - 1) / 2 for side in shape[:2])
    y, x = np.meshgrid(rows, columns, indexing="ij")
    own = _radius_square(x, y, shape)
    theirs = own
    if warp is not None:
        across, down, depth = (one[0] * x + one[1] * y + one[2] for one in warp)
        theirs = _radius_square(across / depth, down / depth, shape)
    return [np.ones_like(own), theirs, theirs**2, own, own**2]


def _radius_square(x: ArrayLike, y: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    middle_y, middle_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    square = np.subtract(x, middle_x) ** 2 + np.subtract(y, middle_y) ** 2
    return (square / max(middle_x**2 + middle_y**2, 1e-6)).astype(np.float32)


def _blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of blocks, (h, w, C)."""
    height, width = plane.shape[0] // BLOCK_PX, plane.shape[1] // BLOCK_PX
    cut = plane[: height * BLOCK_PX, : width * BLOCK_PX]
    return cut.reshape(height, BLOCK_PX, width, BLOCK_PX, -1).mean(axis=(1, 3))


def _steep(linear: Image) -> NDArray[np.float32]:
    down, across = np.gradient(linear.mean(axis=2))
    return np.hypot(down, across).astype(np.float32)
