"""Errors by the true blur radius: what a method gains where the photo is blurred, and what it harms where it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

EDGES_PX = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 14.0, 20.0, math.inf)
COLUMNS = ("name", "from_px", "to_px", "pixels", "mse_input", "mse", "map_error_px")


@dataclass(frozen=True)
class Bin:
    """The pixels of one image whose true radius lies in [from_px, to_px).

    Attributes:
        pixels: how many.
        mse_input, mse: mean squared error of the photo and of the restored photo over them and the channels.
        map_error_px: mean absolute error of the estimated radius, None without an estimate.
    """

    from_px: float
    to_px: float
    pixels: int
    mse_input: float
    mse: float
    map_error_px: float | None = None


def by_radius(
    picture: NDArray[np.float32],
    source: NDArray[np.float32],
    target: NDArray[np.float32],
    coc_px: NDArray[np.float32],
    radius_px: NDArray[np.float32] | None = None,
) -> tuple[Bin, ...]:
    """The bins of one image that hold pixels.

    Args:
        picture, source, target: restored, photo and truth, float32 (H, W, 3) in [0, 1].
        coc_px: (H, W) true signed radius; pixels with NaN belong to no bin.
        radius_px: (H, W) estimated radius.
    """
    truth = np.abs(coc_px.astype(np.float64))
    before = ((source.astype(np.float64) - target) ** 2).mean(axis=2)  # (H, W)
    after = ((picture.astype(np.float64) - target) ** 2).mean(axis=2)
    bins = []
    for low, high in pairwise(EDGES_PX):
        inside = (truth >= low) & (truth < high)
        count = int(inside.sum())
        if count:
            error = None if radius_px is None else float(np.abs(np.abs(radius_px[inside]) - truth[inside]).mean())
            bins.append(Bin(low, high, count, float(before[inside].mean()), float(after[inside].mean()), error))
    return tuple(bins)


def pooled(rows: Iterable[Mapping[str, str]]) -> list[dict[str, float | int | None]]:
    """Stored rows of all images, pooled by pixels: PSNR of input and output in each bin, their difference in dB.

    The bin from 0 to 0.5 px is what was in focus: a negative gain there is harm.
    """
    table: dict[tuple[float, float], list[Mapping[str, str]]] = {}
    for row in rows:
        table.setdefault((float(row["from_px"]), float(row["to_px"])), []).append(row)
    found: list[dict[str, float | int | None]] = []
    for (low, high), inside in sorted(table.items()):
        before, after = (_mean(inside, name) for name in ("mse_input", "mse"))
        psnr_input, psnr = (-10 * math.log10(value) if value else math.inf for value in (before, after))
        mapped = [row for row in inside if row["map_error_px"]]
        found.append(
            {
                "from_px": low,
                "to_px": high,
                "pixels": sum(int(row["pixels"]) for row in inside),
                "psnr_input": psnr_input,
                "psnr": psnr,
                "gain": 0.0 if before == after else psnr - psnr_input,
                "map_error_px": _mean(mapped, "map_error_px") if mapped else None,
            }
        )
    return found


def _mean(rows: Sequence[Mapping[str, str]], name: str) -> float:
    pixels = sum(int(row["pixels"]) for row in rows)
    return math.fsum(int(row["pixels"]) * float(row[name]) for row in rows) / pixels
