"""PSNR after registration of the restored photo to its target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.metrics.pixels import as_pair
from allfocus.metrics.psnr import psnr_fit
from allfocus.metrics.registration import SMALLEST_PX, WINDOW_PX, checkerboard, displacement, register, rms_px, warped

VERSION = "affine-cauchy-halves-border16-v1"
BORDER_PX = 16
LARGEST_PX = 8.0
SURE = 2.0
LEVELS = 2


def psnr_aligned(restored: ArrayLike, target: ArrayLike) -> float:
    """PSNR in dB after registration to the target and one gain and one offset per channel, 16 px of border left out.

    The two shots of a real pair are misaligned as well as differently exposed: DPDD's by 0.3 px in the median. The
    warp has six parameters and is estimated on luminance (`aligning_warp`). It is used only where it is confirmed and
    brings the photo nearer to the target, so that this is never below PSNR-fit of the same area.

    Args:
        restored, target: float (H, W[, C]) in [0, 1] of one shape. Below 56 px a side nothing is registered, and below
            48 px no border is left out.
    Raises:
        InputError: as `psnr`. MissingExtraError: scipy is not installed.
    """
    first, second = as_pair(restored, target)
    cut = BORDER_PX if min(first.shape[:2]) >= 3 * BORDER_PX else 0
    inside = (slice(cut, first.shape[0] - cut), slice(cut, first.shape[1] - cut))
    still = psnr_fit(first[inside], second[inside])
    warp = aligning_warp(first, second)
    if np.array_equal(warp, np.eye(3)):
        return still
    return max(still, psnr_fit(warped(first, warp)[inside], second[inside]))


def aligning_warp(restored: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The affine warp (3, 3) from pixels of the target to pixels of the restored photo; the identity when in doubt.

    It is estimated independently on two disjoint halves (a checkerboard of 64 px windows, smaller on small photos),
    then on the whole photo. Two pictures of noise have a best warp too; therefore it is used only if it moves no pixel
    by more than 8 px, if it is at least twice its error (half the difference between the halves), and if the warp of
    each half fits the other half better than no warp.
    """
    first, second = (image.mean(axis=2) for image in as_pair(restored, target))
    still, shape = np.eye(3), second.shape
    if min(shape) < SMALLEST_PX + 2 * BORDER_PX:
        return still
    board = checkerboard(shape, min(WINDOW_PX, min(shape) // 4))
    ours, theirs = (register(first, second, weights=half.astype(np.float64), levels=LEVELS) for half in (board, ~board))
    error_px = rms_px(displacement(ours, shape) - displacement(theirs, shape)) / 2
    if error_px > LARGEST_PX or not (_helps(ours, first, second, ~board) and _helps(theirs, first, second, board)):
        return still
    warp = register(first, second, start=(ours + theirs) / 2, levels=0)
    moved = displacement(warp, shape)
    return warp if np.abs(moved).max() <= LARGEST_PX and rms_px(moved) >= SURE * error_px else still


def _helps(
    warp: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64], half: NDArray[np.bool_]
) -> bool:
    """Whether the warp brings the first luminance nearer to the second one on the pixels of `half`, border left out."""
    inside = half.copy()
    inside[:BORDER_PX] = inside[-BORDER_PX:] = inside[:, :BORDER_PX] = inside[:, -BORDER_PX:] = False
    before, after = (image[inside][None] for image in (first, warped(first, warp, order=3)))
    return psnr_fit(after, second[inside][None]) > psnr_fit(before, second[inside][None])
