"""The gate that accepts or rejects a pair: measures, limits and reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from allfocus.capture.frame import Frame
from allfocus.capture.misalignment import Misalignment
from allfocus.capture.opencv import cv2

Plane = NDArray[np.float32]

REASONS = {
    "missing partner": "only one of the two cameras has a photo of the scene",
    "unreadable": "a file could not be read",
    "different sizes": "the two photos differ in size",
    "black": "one of the photos is black",
    "no texture": "too little texture to align",
    "no overlap": "the photos do not show the same scene",
    "clipping": "too much is overexposed",
    "noise": "the target is too noisy",
    "flicker": "the light changed between the frames, or within one",
    "target not sharper than source": "there is nothing to learn from the pair",
    "residual shift": "no single warp aligns the photos",
    "moving object": "something is in one photo and not in the other",
}
"""What each reason means; where several hold, the first here is reported first."""
CALM_SHARE = 0.1
LAPLACIAN_GAIN = 6.0
BLOCK_PX = 16
DIFFERENT = 0.75


@dataclass(frozen=True)
class GateLimits:
    """The most (or least) of each measure that passes.

    Attributes:
        clipped: share of a photo at the top of its range.
        noise: standard deviation of the target's noise, of white.
        flicker: of the light along the rows or columns, or between frames of a burst, relative.
        sharper: least ratio of fine detail in target and source (amplitude).
        shift_px, many_px: residual shift that half, and that three quarters of the windows stay below.
        moving: share of the photo covered by one connected difference.
    """

    clipped: float = 0.05
    noise: float = 0.03
    flicker: float = 0.02
    sharper: float = 1.05
    shift_px: float = 0.4
    many_px: float = 0.8
    moving: float = 0.008


@dataclass(frozen=True)
class Measures:
    """What was measured on a pair, in the units of `GateLimits`; None where it could not be."""

    clipped: float | None = None
    noise: float | None = None
    flicker: float | None = None
    sharper: float | None = None
    shift_px: float | None = None
    many_px: float | None = None
    moving: float | None = None

    def reasons(self, limits: GateLimits) -> list[str]:
        """Why the pair is refused, the first reason first; empty for a good pair."""
        over = {
            "clipping": _over(self.clipped, limits.clipped),
            "noise": _over(self.noise, limits.noise),
            "flicker": _over(self.flicker, limits.flicker),
            "target not sharper than source": self.sharper is not None and self.sharper < limits.sharper,
            "residual shift": _over(self.shift_px, limits.shift_px) or _over(self.many_px, limits.many_px),
            "moving object": _over(self.moving, limits.moving),
        }
        return [reason for reason in REASONS if over.get(reason)]


@dataclass(frozen=True)
class AlignedViews:
    """An aligned pair, as the gate measures it; planes are display-referred luma, float32 (H, W).

    Attributes:
        source, target: the blurred and the sharp view.
        soft: the sharp view, blurred to match.
        trust: bool (H, W), where both saw something that was not clipped.
    """

    source: Plane
    target: Plane
    soft: Plane
    trust: NDArray[np.bool_] = field(repr=False)


def measure(
    source: Frame, target: Frame, views: AlignedViews, found: Misalignment, burst_flicker: float = 0.0
) -> Measures:
    """All measures of a pair; `source` and `target` are the frames as they were read, `found` what shift is left."""
    noise = noise_of(target.luma)
    moved = moving_map(views, noise)
    return Measures(
        clipped=max(float(source.clipped.mean()), float(target.clipped.mean())),
        noise=noise,
        flicker=max(bands_of_light(views, moved > DIFFERENT), burst_flicker),
        sharper=sharpness_ratio(views, noise),
        shift_px=found.residual(0.5),
        many_px=found.residual(0.75),
        moving=moving_share(moved),
    )


def noise_of(plane: Plane) -> float:
    """The standard deviation of noise: of a Laplacian that structure hardly reaches, in the calmest blocks.

    Source: the operator of Immerkaer (1996).
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    blocks = _blocks(cv2.filter2D(plane, -1, kernel) ** 2)
    calm = np.sort(blocks.ravel())[: max(1, int(CALM_SHARE * blocks.size))]
    return float(np.sqrt(calm.mean()) / LAPLACIAN_GAIN)


def sharpness_ratio(views: AlignedViews, noise: float) -> float:
    """How much more fine detail the target has: the ratio of amplitudes of a band around 1.5 px, noise taken off."""
    amplitudes = []
    for plane, own_noise in ((views.target, noise), (views.source, noise_of(views.source))):
        band = cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 2.0)
        energy = float(np.mean(band[views.trust] ** 2)) if views.trust.any() else 0.0
        amplitudes.append(np.sqrt(max(energy - (0.18 * own_noise) ** 2, 1e-9)))
    return float(amplitudes[0] / amplitudes[1])


def bands_of_light(views: AlignedViews, moved: NDArray[np.bool_] | None = None) -> float:
    """The relative variation of light from row to row, or column to column, that a parabola does not follow.

    Places where something has `moved`, bool (H, W), are left out.
    """
    enough = views.trust & (views.soft > 0.08)
    if moved is not None:
        enough &= ~moved
    ratio = np.where(enough, np.log(np.maximum(views.source, 0.02) / np.maximum(views.soft, 0.02)), np.nan)
    most = 0.0
    for axis in (0, 1):
        lines = ratio if axis == 0 else ratio.T
        known = np.isfinite(lines).mean(axis=1) > 0.3
        if known.sum() < 2 * BLOCK_PX:
            continue
        medians = np.array([np.median(line[np.isfinite(line)]) for line in lines[known]])
        places = np.linspace(-1, 1, len(medians))
        left = medians - np.polyval(np.polyfit(places, medians, 2), places)
        smooth = np.convolve(left, np.ones(5) / 5, "valid")
        most = max(most, float(np.std(smooth)))
    return most


def moving_map(views: AlignedViews, noise: float) -> Plane:
    """(H, W), near 0 where the views agree and 1 or more where one shows what the other does not."""

    def around(plane: Plane, sigma: float) -> Plane:
        return cv2.GaussianBlur(plane, (0, 0), sigma)

    difference = np.where(views.trust, views.source - views.soft, 0).astype(np.float32)
    energy = around(difference**2, 4)
    spread = [around(one**2, 10) - around(one, 10) ** 2 for one in (views.source, views.soft)]
    structure = np.maximum(np.maximum(*spread), 0)
    return np.sqrt(energy / (structure + (2.5 * noise) ** 2 + 0.02**2)).astype(np.float32)


def moving_share(moved: Plane) -> float:
    """The share of the photo that the largest connected difference of a `moving_map` covers."""
    marked = (moved > DIFFERENT).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    return float(stats[1:, cv2.CC_STAT_AREA].max() / marked.size) if count > 1 else 0.0


def _over(value: float | None, limit: float) -> bool:
    return value is not None and value > limit


def _blocks(plane: Plane) -> Plane:
    height, width = plane.shape[0] // BLOCK_PX * BLOCK_PX, plane.shape[1] // BLOCK_PX * BLOCK_PX
    if not height or not width:
        return plane.mean(keepdims=True)
    return plane[:height, :width].reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX).mean(axis=(1, 3))
