"""Edge-aware smoothing in linear time: the recursive filter of the domain transform.

Source: Gastal and Oliveira, "Domain Transform for Edge-Aware Image and Video Processing", SIGGRAPH 2011, eq. 21 and 14.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allfocus.errors import InputError


def recursive_filter(
    signal: NDArray, guide: NDArray, sigma_space_px: float, sigma_range: float, iterations: int = 3
) -> NDArray[np.float64]:
    """Smooth `signal` within the regions that `guide` draws.

    Args:
        signal: (H, W) or (H, W, C), any range.
        guide: (H, W) or (H, W, G); steps are added up over its channels.
        sigma_space_px: reach in flat places of the guide, px.
        sigma_range: a step of this height in the guide counts as `sigma_space_px` of distance; unit of the guide.
        iterations: pairs of passes (along rows, then along columns).

    Returns:
        float64, shape of `signal`. A constant stays constant, and every value lies within the range of `signal`.

    Raises:
        InputError: guide and signal differ in height or width.
    """
    if signal.shape[:2] != guide.shape[:2]:
        raise InputError(
            f"a signal of {signal.shape[:2]} and a guide of {guide.shape[:2]} (rows, columns)",
            "the same height and width",
            "resize one of them first",
        )
    guide_planes = np.asarray(guide, dtype=np.float64).reshape(*guide.shape[:2], -1)
    ratio = sigma_space_px / sigma_range
    rows_distance = 1.0 + ratio * np.abs(np.diff(guide_planes, axis=1)).sum(axis=2)  # (H, W - 1)
    columns_distance = 1.0 + ratio * np.abs(np.diff(guide_planes, axis=0)).sum(axis=2)  # (H - 1, W)
    rows_distance = np.ascontiguousarray(rows_distance.T)  # (W - 1, H): the recursion runs along the first axis

    planes = np.array(signal, dtype=np.float64).reshape(*signal.shape[:2], -1)  # (H, W, C), a copy
    for i in range(iterations):
        sigma_px = sigma_space_px * np.sqrt(3.0) * 2.0 ** (iterations - i - 1) / np.sqrt(4.0**iterations - 1.0)
        log_feedback = -np.sqrt(2.0) / sigma_px
        across = np.ascontiguousarray(planes.transpose(1, 0, 2))  # (W, H, C)
        _recur(across, np.exp(log_feedback * rows_distance))
        planes = np.ascontiguousarray(across.transpose(1, 0, 2))
        _recur(planes, np.exp(log_feedback * columns_distance))
    return planes.reshape(signal.shape)


def _recur(lines: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """First-order recursion along axis 0 of `lines` (N, M, C), forward then backward, in place; `weights` feed back."""
    step = np.empty_like(lines[0])
    feedback = weights[:, :, None]
    for n in range(1, len(lines)):
        np.subtract(lines[n - 1], lines[n], out=step)
        step *= feedback[n - 1]
        lines[n] += step
    for n in range(len(lines) - 2, -1, -1):
        np.subtract(lines[n + 1], lines[n], out=step)
        step *= feedback[n]
        lines[n] += step


def fill(
    values: NDArray,
    known: NDArray[np.bool_],
    guide: NDArray,
    sigma_space_px: float,
    sigma_range: float,
    iterations: int = 3,
) -> NDArray[np.float64]:
    """Spread `values` from where they are known to everywhere: the filtered values over the filtered mask.

    (H, W) float64, within the range of the known values; 0 everywhere when nothing is known.
    """
    if not known.any():
        return np.zeros(values.shape)
    sparse = np.where(known, values, 0.0)
    planes = np.stack([sparse, known.astype(np.float64)], axis=2)
    spread = recursive_filter(planes, guide, sigma_space_px, sigma_range, iterations)
    weight = spread[..., 1]
    reached = weight > np.finfo(np.float64).tiny
    mean = float(values[known].mean())
    return np.divide(spread[..., 0], weight, out=np.full(values.shape, mean), where=reached)
