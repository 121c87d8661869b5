"""Errors by the true blur radius: the gain of a method in blurred areas, and its harm in sharp ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from allfocus.defocus.measure import has_texture, local_radius_px

EDGES_PX = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 14.0, 20.0, math.inf)
COLUMNS = (
    "name", "from_px", "to_px", "pixels", "mse_input", "mse",
    "sharp_pixels", "sharp_mse_input", "sharp_mse", "map_error_px",
)  # fmt: skip
SHARP_PX = 1.0
"""Measured blur radius of the sharp picture itself from which on it is none: its photo was out of focus there."""


@dataclass(frozen=True)
class Bin:
    """The pixels of one image whose true radius lies in [from_px, to_px).

    Attributes:
        pixels: how many.
        mse_input, mse: mean squared error of the photo and of the restored photo over them and the channels.
        sharp_pixels, sharp_mse_input, sharp_mse: the same without the pixels where the sharp picture is not sharp. A
            simulated scene is made from photos, parts of which were out of focus when they were taken: what makes those
            sharper is counted as wrong.
        map_error_px: mean absolute error of the estimated radius, None without an estimate.
    """

    from_px: float
    to_px: float
    pixels: int
    mse_input: float
    mse: float
    sharp_pixels: int
    sharp_mse_input: float
    sharp_mse: float
    map_error_px: float | None = None


def by_radius(
    picture: NDArray[np.float32],
    source: NDArray[np.float32],
    target: NDArray[np.float32],
    coc_px: NDArray[np.float32],
    estimated_px: NDArray[np.float32] | None = None,
) -> tuple[Bin, ...]:
    """The bins of one image that hold pixels: float32 (H, W, 3) in [0, 1], and radii (H, W), NaN where unknown."""
    truth = np.abs(coc_px.astype(np.float64))
    before = ((source.astype(np.float64) - target) ** 2).mean(axis=2)  # (H, W)
    after = ((picture.astype(np.float64) - target) ** 2).mean(axis=2)
    sharp = is_sharp(target)
    bins = []
    for low, high in pairwise(EDGES_PX):
        inside = (truth >= low) & (truth < high)
        if inside.any():
            error = None if estimated_px is None else float(np.abs(np.abs(estimated_px[inside]) - truth[inside]).mean())
            errors = (*_errors(inside, before, after), *_errors(inside & sharp, before, after))
            bins.append(Bin(low, high, *errors, error))
    return tuple(bins)


def is_sharp(target: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a picture that is meant to be sharp is: no texture, or texture blurred by at most `SHARP_PX`; (H, W)."""
    return ~has_texture(target) | (local_radius_px(target) <= SHARP_PX)


def pooled(rows: Iterable[Mapping[str, str]]) -> list[dict[str, float | int | None]]:
    """Stored rows of all images, pooled by pixels: PSNR of input and output in each bin, their difference in dB.

    The bin from 0 to 0.5 px is what was in focus: a negative gain there is harm. `gain_sharp` counts only pixels whose
    sharp picture is sharp.
    """
    table: dict[tuple[float, float], list[Mapping[str, str]]] = {}
    for row in rows:
        table.setdefault((float(row["from_px"]), float(row["to_px"])), []).append(row)
    found: list[dict[str, float | int | None]] = []
    for (low, high), inside in sorted(table.items()):
        psnr_input, psnr = (_decibels(_mean(inside, name)) for name in ("mse_input", "mse"))
        sharp = [row for row in inside if int(row["sharp_pixels"])]
        of_sharp = (_decibels(_mean(sharp, name, "sharp_pixels")) for name in ("sharp_mse_input", "sharp_mse"))
        mapped = [row for row in inside if row["map_error_px"]]
        found.append(
            {
                "from_px": low,
                "to_px": high,
                "pixels": sum(int(row["pixels"]) for row in inside),
                "psnr_input": psnr_input,
                "psnr": psnr,
                "gain": _gain(psnr_input, psnr),
                "sharp_pixels": sum(int(row["sharp_pixels"]) for row in sharp),
                "gain_sharp": _gain(*of_sharp) if sharp else None,
                "map_error_px": _mean(mapped, "map_error_px") if mapped else None,
            }
        )
    return found


def _errors(
    inside: NDArray[np.bool_], before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[int, float, float]:
    """How many pixels, and their mean errors before and after; 0 without any."""
    count = int(inside.sum())
    return (count, float(before[inside].mean()), float(after[inside].mean())) if count else (0, 0.0, 0.0)


def _mean(rows: Sequence[Mapping[str, str]], name: str, weight: str = "pixels") -> float:
    pixels = sum(int(row[weight]) for row in rows)
    return math.fsum(int(row[weight]) * float(row[name]) for row in rows) / pixels


def _decibels(mse: float) -> float:
    return -10 * math.log10(mse) if mse else math.inf


def _gain(psnr_input: float, psnr: float) -> float:
    return 0.0 if psnr == psnr_input else psnr - psnr_input
