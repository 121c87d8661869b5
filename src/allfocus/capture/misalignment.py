"""Residual misalignment per window, its uncertainty, and a smooth displacement that removes it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.opencv import cv2
from allfocus.metrics.registration import WINDOW_PX, displacement, register, rms_px, unexplained

Plane = NDArray[np.float32]
Array = NDArray[np.float64]

FIELD_PX = 50.0
"""How far (sigma) a window's shift reaches in a field."""
SURE_PX = 0.25
FAR_PX = 8.0
BENT = 0.75
"""A window is bent if an affine warp leaves less than this of what its best shift leaves; chance takes a twentieth."""
LEAST_SLOPE = 0.01


@dataclass(frozen=True)
class Misalignment:
    """The shift of each window that has one.

    Attributes:
        places: (n, 2), the windows' centres (x, y) in px.
        shifts: (n, 2), from a pixel of the fixed view to the same point in the moving one, in px.
        errors_px: (n,), half of how far the shifts of two halves of a window lie apart.
        bent_px: (m,), for windows whose halves do not agree since an affine warp fits and no shift does: the root mean
            square of its displacement.
    """

    places: Array
    shifts: Array
    errors_px: Array
    bent_px: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def lengths_px(self) -> Array:
        """(n,), the length of each shift."""
        return np.hypot(self.shifts[:, 0], self.shifts[:, 1]) if len(self.shifts) else np.zeros(0)

    def quantile(self, share: float) -> float | None:
        """The length below which that share of windows lies; None if no window has enough texture."""
        return float(np.quantile(self.lengths_px, share)) if len(self.shifts) else None

    def residual(self, share: float) -> float | None:
        """As `quantile`, of the windows with one shift and the bent ones: what one warp of the whole leaves."""
        lengths = np.concatenate([self.lengths_px, self.bent_px])
        return float(np.quantile(lengths, share)) if len(lengths) else None


def misalignment(
    moving: Plane, fixed: Plane, trust: NDArray[np.bool_] | None = None, window_px: int = WINDOW_PX
) -> Misalignment:
    """Shifts between two aligned views, in windows of `window_px`.

    A window speaks if it has structure, if at least three quarters of it are trusted, and if its left and right half,
    and its upper and lower one, agree to `SURE_PX`. If they do not, the window is bent or says nothing.

    Args:
        moving, fixed: display-referred, float32 (H, W); as soft as each other (see `blur.match_blur`).
        trust: bool (H, W).
    """
    height, width = fixed.shape
    seen = np.ones(fixed.shape, bool) if trust is None else trust
    down, across = np.gradient(fixed)
    steep = np.hypot(down, across)
    places, shifts, errors, bent = [], [], [], []
    for top in range(0, height - window_px + 1, window_px):
        for left in range(0, width - window_px + 1, window_px):
            box = (slice(top, top + window_px), slice(left, left + window_px))
            if seen[box].mean() < 0.75 or np.quantile(steep[box], 0.9) < LEAST_SLOPE:
                continue
            views = moving[box], fixed[box], seen[box].astype(np.float64)
            whole = register(*views[:2], "shift", weights=views[2], levels=1)
            if np.array_equal(whole, np.eye(3)):  # no structure, or none that correlates
                continue
            found = _shift(*views, whole)
            if found is None:
                bent += _bent(*views, whole)
                continue
            places.append((left + (window_px - 1) / 2, top + (window_px - 1) / 2))
            shifts.append(found[0])
            errors.append(found[1])
    return Misalignment(
        np.array(places, np.float64).reshape(-1, 2),
        np.array(shifts, np.float64).reshape(-1, 2),
        np.array(errors, np.float64),
        np.array(bent, np.float64),
    )


def smooth_field(found: Misalignment, shape: tuple[int, int], limit_px: float, before: Plane | None = None) -> Plane:
    """(H, W, 2), a displacement in px: the windows' shifts averaged around each pixel, none longer than `limit_px`.

    Where no window speaks nearby the field fades to nothing, or to the one from `before`, through which the moving view
    was laid when the shifts were found.
    """
    rows, columns = np.mgrid[0 : shape[0] : 8, 0 : shape[1] : 8].astype(np.float64)
    total, weights = np.zeros((*rows.shape, 2)), np.full(rows.shape, 0.05)
    lengths = found.lengths_px
    for place, shift, error, length in zip(found.places, found.shifts, found.errors_px, lengths, strict=True):
        if length > 2 * limit_px:
            continue
        apart = (columns - place[0]) ** 2 + (rows - place[1]) ** 2
        weight = np.exp(-apart / (2 * FIELD_PX**2)) / (error**2 + 0.05**2) * 0.05**2
        total += weight[..., None] * shift
        weights += weight
    coarse = total / weights[..., None]
    whole = cv2.resize(coarse.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    whole = whole if before is None else whole + before
    length = np.maximum(np.hypot(whole[..., 0], whole[..., 1]), np.float32(1e-9))
    return whole * np.minimum(1, np.float32(limit_px) / length)[..., None]


def _shift(moving: Plane, fixed: Plane, trust: Array, whole: Array) -> tuple[Array, float] | None:
    side = fixed.shape[1] // 2
    found = []
    for half in (np.s_[:, :side], np.s_[:, side:], np.s_[:side], np.s_[side:]):
        weights = np.zeros_like(trust)
        weights[half] = trust[half]
        found.append(register(moving, fixed, "shift", start=whole, weights=weights, levels=0, iterations=5))
    moved = displacement(whole, fixed.shape, 10_000)[0]
    apart = [rms_px(displacement(one, fixed.shape, 10_000) - displacement(two, fixed.shape, 10_000)) / 2
             for one, two in (found[:2], found[2:])]  # fmt: skip
    error = max(apart)
    if error > SURE_PX or np.hypot(*moved) > FAR_PX:
        return None
    return moved, error


def _bent(moving: Plane, fixed: Plane, trust: Array, whole: Array) -> list[float]:
    warp = register(moving, fixed, "affine", start=whole, weights=trust, levels=1)
    length_px = rms_px(displacement(warp, fixed.shape))
    left = [unexplained(moving, fixed, one, trust) for one in (warp, whole)]
    return [length_px] if length_px <= FAR_PX and left[0] < BENT * left[1] else []
