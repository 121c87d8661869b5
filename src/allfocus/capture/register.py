"""Registration of the sharp view to the blurred one: features first, then a fit that is robust to blur."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.blur import match_blur
from allfocus.capture.frame import Frame, encoded
from allfocus.capture.opencv import cv2
from allfocus.errors import DataError
from allfocus.metrics.registration import displacement, register, warped
from allfocus.photo.color import linear_to_srgb, srgb_to_linear

Plane = NDArray[np.float32]
Warp = NDArray[np.float64]

SOFTENED = (0.0, 1.5, 3.0, 6.0)
"""The sharp view is also searched this much softer (sigma in px): what a soft photo shows is large."""
SEARCH_PX = 1200
FINE_PX = 2_500_000
"""Pixels above which the fit stops at half size, at four times of them at a quarter."""
RATIO = 0.8
TRUSTED_PX = 3.0
ENOUGH = 25
LEAST = 12
LEAST_OVERLAP = 0.5
SCALES = (0.8, 1.25)
ROUNDS = 3
DARK = 0.01
BLACK = 0.05
FLAT = 0.004


class Unalignable(DataError):
    """A pair that no warp brings together; `reason` is one of `gate.REASONS`."""

    def __init__(self, reason: str, got: str, hint: str) -> None:
        self.reason = reason
        super().__init__(got, "two views of one scene", hint)

    def __reduce__(self) -> tuple[type[Unalignable], tuple[str, str, str]]:  # type: ignore[override]
        return type(self), (self.reason, self.got, self.hint)


@dataclass(frozen=True)
class Alignment:
    """The warp from the source's view to the target's.

    Attributes:
        warp: (3, 3), from pixels of the source to pixels of the target (after its flip).
        mirrored: the target had to be flipped left to right first.
        features: correspondences that agree with the first guess.
    """

    warp: Warp
    mirrored: bool
    features: int

    @property
    def scale(self) -> float:
        """Pixels of the target for one of the source."""
        return float(np.sqrt(abs(np.linalg.det(self.warp[:2, :2]))))

    @property
    def degrees(self) -> float:
        """By how much the target is turned."""
        return float(np.degrees(np.arctan2(self.warp[1, 0] - self.warp[0, 1], self.warp[0, 0] + self.warp[1, 1])))


def align(source: Frame, target: Frame, mirrored: bool | None = None, start: Warp | None = None) -> Alignment:
    """The warp that lays `target` on `source`.

    Args:
        source, target: the blurred and the sharp view, of one size.
        mirrored: whether the target is a mirror image; None tries both where one is not clear.
        start: a warp near the answer (a calibrated rig's); features are not searched then.
    Raises:
        Unalignable: black, without texture, or without overlap.
    """
    for name, frame in (("the source", source), ("the target", target)):
        _check_light(name, frame)
    if start is not None:
        flipped, warp, count = bool(mirrored), np.asarray(start, np.float64), 0
    else:
        flipped, warp, count = _by_features(source, target, mirrored)
    seen = target.flipped() if flipped else target
    _check_overlap(warp, source.shape, seen.shape)
    warp = _refined(source, seen, warp)
    _check_overlap(warp, source.shape, seen.shape)
    return Alignment(warp, flipped, count)


def laid_on(target: Frame, alignment: Alignment, shape: tuple[int, int], field: Plane | None = None) -> Frame:
    """The target as the source's camera would have seen it, and True in `clipped` also where it saw nothing.

    Args:
        target: the sharp frame as it was read.
        alignment: how it lies.
        shape: (h, w) of the source.
        field: (h, w, 2), a further displacement (x, y) in px of the source; see `misalignment.smooth_field`.
    """
    from scipy import ndimage

    seen = target.flipped() if alignment.mirrored else target
    warp = alignment.warp
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
    if field is not None:
        rows, columns = rows + field[..., 1], columns + field[..., 0]
    depth = warp[2, 0] * columns + warp[2, 1] * rows + warp[2, 2]
    x = (warp[0, 0] * columns + warp[0, 1] * rows + warp[0, 2]) / depth
    y = (warp[1, 0] * columns + warp[1, 1] * rows + warp[1, 2]) / depth
    outside = (x < 0) | (y < 0) | (x > seen.shape[1] - 1) | (y > seen.shape[0] - 1)
    order = 5 if seen.clipped.size <= FINE_PX else 3
    shown = encoded(seen.linear)  # a spline overshoots less there
    planes = [ndimage.map_coordinates(shown[..., one], [y, x], np.float32, order, "nearest") for one in range(3)]
    clipped = ndimage.map_coordinates(seen.clipped.astype(np.float32), [y, x], np.float32, 1, "nearest") > 0.01
    linear = srgb_to_linear(np.clip(np.stack(planes, axis=-1), 0, 1)).astype(np.float32)
    return Frame(linear, clipped | outside)


def inside(alignment_warp: Warp, shape: tuple[int, int], target_shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w): true where the target saw the source's pixel."""
    ones = np.ones(target_shape, np.float32)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(ones, alignment_warp, (shape[1], shape[0]), flags=flags) > 0


def _check_light(name: str, frame: Frame) -> None:
    plane = frame.luma
    soft = cv2.GaussianBlur(plane, (0, 0), 3)
    if float(np.quantile(soft, 0.999)) < BLACK:  # softened: the noise of a black photo is not black
        raise Unalignable("black", f"{name} is black", "look at the exposure, or the lens cap")
    fine = soft - cv2.GaussianBlur(plane, (0, 0), 24)
    if float(np.quantile(np.abs(fine), 0.98)) < FLAT:
        raise Unalignable("no texture", f"{name} has no texture to align", "a scene with structure")


def _by_features(source: Frame, target: Frame, mirrored: bool | None) -> tuple[bool, Warp, int]:
    best: tuple[int, bool, Warp] | None = None
    few = 0
    for flip in (False, True) if mirrored is None else (mirrored,):
        warp, count, keypoints = _matched(source, target.flipped() if flip else target)
        few = max(few, keypoints)
        if warp is not None and (best is None or count > best[0]):
            best = (count, flip, warp)
        if best is not None and best[0] >= ENOUGH:
            break
    if best is not None and best[0] >= LEAST:
        return best[1], best[2], best[0]
    if few < LEAST:
        raise Unalignable("no texture", f"{few} features", "a scene with structure")
    raise Unalignable("no overlap", "no common features", "look whether both show the same scene")


def _matched(source: Frame, target: Frame) -> tuple[Warp | None, int, int]:
    factor = min(1.0, SEARCH_PX / max(source.shape))
    ours = _searched(source.luma, factor)
    detector = cv2.SIFT_create(nfeatures=4000, contrastThreshold=0.015)
    points, words = detector.detectAndCompute(_codes(ours), None)
    best_warp, best_count, most = None, 0, 0
    base = _searched(target.luma, factor)
    for sigma in SOFTENED:
        theirs = base if sigma == 0 else cv2.GaussianBlur(base, (0, 0), sigma)
        other_points, other_words = detector.detectAndCompute(_codes(theirs), None)
        most = max(most, min(len(points), len(other_points)))
        if words is None or other_words is None or min(len(words), len(other_words)) < 4:
            continue
        found = cv2.BFMatcher().knnMatch(words, other_words, k=2)
        good = [two[0] for two in found if len(two) == 2 and two[0].distance < RATIO * two[1].distance]
        if len(good) < LEAST:
            continue
        first = np.array([points[one.queryIdx].pt for one in good], np.float32)
        second = np.array([other_points[one.trainIdx].pt for one in good], np.float32)
        warp, agreed = cv2.findHomography(first, second, cv2.USAC_MAGSAC, TRUSTED_PX, maxIters=5000, confidence=0.999)
        if warp is None or agreed is None:
            continue
        count = len({tuple(np.round(first[index], 0)) for index in np.flatnonzero(agreed.ravel())})
        if count > best_count and _plausible(warp):
            best_warp, best_count = warp, count
        if best_count >= 150:
            break
    if best_warp is None:
        return None, 0, most
    scaling = np.array([[1 / factor, 0, (1 / factor - 1) / 2], [0, 1 / factor, (1 / factor - 1) / 2], [0, 0, 1]])
    whole = scaling @ best_warp @ np.linalg.inv(scaling)
    return whole / whole[2, 2], best_count, most


def _plausible(warp: Warp) -> bool:
    scale = np.sqrt(max(float(np.linalg.det(warp[:2, :2])), 0.0))
    skew = np.abs(np.linalg.svd(warp[:2, :2] / max(scale, 1e-6))[1] - 1).max()
    return SCALES[0] <= scale <= SCALES[1] and skew < 0.1 and bool(np.abs(warp[2, :2]).max() < 1e-3)


def _searched(plane: Plane, factor: float) -> Plane:
    size = (max(1, round(plane.shape[1] * factor)), max(1, round(plane.shape[0] * factor)))
    return plane if factor == 1 else cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


def _codes(plane: Plane) -> NDArray[np.uint8]:
    low, high = np.quantile(plane, [0.01, 0.99])
    return (np.clip((plane - low) / max(float(high - low), 0.02), 0, 1) * 255).astype(np.uint8)


def _check_overlap(warp: Warp, shape: tuple[int, int], target_shape: tuple[int, int]) -> None:
    share = float(inside(warp, shape, target_shape).mean()) if np.isfinite(warp).all() else 0.0
    if share < LEAST_OVERLAP:
        raise Unalignable("no overlap", f"the views share {share:.0%} of the scene", "the same framing for both")


def _refined(source: Frame, target: Frame, warp: Warp) -> Warp:
    """Blur the sharp view to match, fit, and again with what was found: each blurs better than the one before."""
    ours, theirs = source.linear.mean(axis=2), target.linear.mean(axis=2)
    pixels = ours.size
    finest = 0 if pixels <= FINE_PX else 1 if pixels <= 4 * FINE_PX else 2
    for number in range(ROUNDS):
        there = warped(theirs, warp, source.shape, order=3).astype(np.float32)
        seen = inside(warp, source.shape, target.shape)
        blind = warped(target.clipped.astype(np.float32), warp, source.shape, order=1) > 0.01
        trust = (seen & ~blind & ~source.clipped).astype(np.float64)
        there = there * _ratio(ours, there, trust)
        matched = match_blur(there, ours).matched
        step = register(
            linear_to_srgb(np.clip(matched, 0, 1)),
            linear_to_srgb(np.clip(ours, 0, 1)),
            "homography",
            weights=trust,
            levels=2 if number == 0 else finest,
            finest=finest,
        )
        moved = displacement(step, source.shape)
        if not np.isfinite(moved).all() or np.abs(moved).max() > max(source.shape) / 4:
            return warp
        warp = warp @ step
        warp = warp / warp[2, 2]
        if np.abs(moved).max() < 0.02:
            break
    return warp


def _ratio(ours: Plane, theirs: Plane, trust: NDArray[np.float64]) -> float:
    counted = (trust > 0) & (theirs > DARK)
    return float(np.median(ours[counted]) / max(float(np.median(theirs[counted])), 1e-4)) if counted.any() else 1.0
