"""What misalignment is left, window by window, how sure that is, and a smooth field that undoes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.opencv import opencv
from allfocus.metrics.registration import WINDOW_PX, displacement, register, rms_px

Plane = NDArray[np.float32]
Array = NDArray[np.float64]

FIELD_PX = 80.0
"""How far (sigma) a window speaks for its surroundings in a field."""
SURE_PX = 0.25
FAR_PX = 8.0
LEAST_SLOPE = 0.01


@dataclass(frozen=True)
class Misalignment:
    """The shift of each window that has something to say.

    Attributes:
        places: (n, 2), the windows' centres (x, y) in px.
        shifts: (n, 2), from a pixel of the fixed view to the same point in the moving one, in px.
        errors_px: (n,), half of how far the shifts of two halves of a window lie apart.
        halves: (n,), true and false for two disjoint sets of windows, as on a board.
    """

    places: Array
    shifts: Array
    errors_px: Array
    halves: NDArray[np.bool_]

    @property
    def lengths_px(self) -> Array:
        """(n,), the length of each shift."""
        return np.hypot(self.shifts[:, 0], self.shifts[:, 1]) if len(self.shifts) else np.zeros(0)

    def quantile(self, share: float) -> float | None:
        """The length below which that share of windows lies; None where no window speaks."""
        return float(np.quantile(self.lengths_px, share)) if len(self.shifts) else None

    def with_error(self, share: float) -> tuple[float | None, float | None]:
        """The quantile, and half of what it differs by between the two disjoint sets of windows."""
        if not (self.halves.any() and (~self.halves).any()):
            return self.quantile(share), None
        apart = [float(np.quantile(self.lengths_px[half], share)) for half in (self.halves, ~self.halves)]
        return self.quantile(share), abs(apart[0] - apart[1]) / 2


def misalignment(
    moving: Plane, fixed: Plane, trust: NDArray[np.bool_] | None = None, window_px: int = WINDOW_PX
) -> Misalignment:
    """Shifts between two views that lie on each other, in windows of `window_px`.

    A window speaks if it has structure, if at least three quarters of it are trusted, and if its left and right half,
    and its upper and lower one, agree to `SURE_PX`.

    Args:
        moving, fixed: display-referred, float32 (H, W); as soft as each other (see `blur.match_blur`).
        trust: bool (H, W).
    """
    height, width = fixed.shape
    seen = np.ones(fixed.shape, bool) if trust is None else trust
    down, across = np.gradient(fixed)
    steep = np.hypot(down, across)
    places, shifts, errors, halves = [], [], [], []
    for top in range(0, height - window_px + 1, window_px):
        for left in range(0, width - window_px + 1, window_px):
            box = (slice(top, top + window_px), slice(left, left + window_px))
            if seen[box].mean() < 0.75 or np.quantile(steep[box], 0.9) < LEAST_SLOPE:
                continue
            found = _window(moving[box], fixed[box], seen[box])
            if found is None:
                continue
            places.append((left + (window_px - 1) / 2, top + (window_px - 1) / 2))
            shifts.append(found[0])
            errors.append(found[1])
            halves.append((top // window_px + left // window_px) % 2 == 0)
    return Misalignment(
        np.array(places, np.float64).reshape(-1, 2),
        np.array(shifts, np.float64).reshape(-1, 2),
        np.array(errors, np.float64),
        np.array(halves, bool),
    )


def smooth_field(found: Misalignment, shape: tuple[int, int], limit_px: float) -> Plane:
    """(H, W, 2), a displacement in px: the windows' shifts averaged around each pixel, none longer than `limit_px`.

    Where no window speaks nearby the field fades to nothing.
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
    length = np.maximum(np.hypot(coarse[..., 0], coarse[..., 1]), 1e-9)
    coarse *= np.minimum(1, limit_px / length)[..., None]
    cv2 = opencv()
    return cv2.resize(coarse.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def _window(moving: Plane, fixed: Plane, seen: NDArray[np.bool_]) -> tuple[Array, float] | None:
    trust = seen.astype(np.float64)
    whole = register(moving, fixed, "shift", weights=trust, levels=1)
    if np.array_equal(whole, np.eye(3)):  # nothing was found to hold on to, or nothing that correlates
        return None
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
