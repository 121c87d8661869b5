"""Registration of two pictures to a few hundredths of a pixel: Gauss-Newton over a pyramid.

A warp is a matrix (3, 3) that takes a pixel (x, y, 1) of the fixed picture to the place of the moving one that shows
the same point; pixel centres have whole coordinates. The light of both may differ by a gain, an offset and what varies
slowly (vignetting); one may be blurred, as a symmetric blur moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allfocus.errors import InputError, OptionError, needs

Array = NDArray[np.float64]

FREEDOM = {"shift": (2, 5), "affine": (0, 1, 2, 3, 4, 5), "homography": (0, 1, 2, 3, 4, 5, 6, 7)}
"""The entries of the matrix that each model moves, in reading order."""
SMALLEST_PX = 24
WINDOW_PX = 64
SMOOTHING_PX = 1.5
"""Of both pictures: detail this small is grain, and a warp between pixels would seem better by blurring it."""
ILLUMINATION_PX = 12.0
"""What is smoother than this is light, not structure."""
CAUCHY = 2.385
"""Residuals of this many standard deviations count half; 95 % efficient on normal noise (Holland and Welsch, 1977)."""
MAD_TO_SIGMA = 1.4826
RIM_PX = 4
STILL_PX = 0.002
FLAT = 1e-12
RIDGE = 1e-9
TELLING = 0.35
"""The share of pixels that are used, the steepest ones."""


@dataclass(frozen=True)
class Level:
    """One level of the pyramid: both pictures band-passed, and how much each pixel of `fixed` says."""

    moving: Array
    fixed: Array
    weights: Array


def register(
    moving: ArrayLike,
    fixed: ArrayLike,
    model: str = "affine",
    start: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    levels: int = 4,
    finest: int = 0,
    iterations: int = 12,
) -> Array:
    """The warp (3, 3) from pixels of `fixed` to `moving`.

    Args:
        moving, fixed: one-channel float pictures (H, W), (h, w) in one unit, at least 24 px a side.
        model: "shift", "affine" or "homography".
        start: a warp (3, 3) near the answer; the identity when None. The pyramid finds what is off by about
            2 px times 2 to the power of its levels.
        weights: (h, w), not negative; 0 for pixels that say nothing.
        levels: how many times the pictures are halved, as far as their size allows.
        finest: the level to stop at: 0 is full size, 1 half size (a quarter of the work).
        iterations: most steps per level.
    Returns:
        The warp; `start` where there is no structure.
    Raises:
        InputError: pictures or weights of another shape, too small or not finite. OptionError: an unknown model.
        MissingExtraError: scipy is not installed.
    Source: Lucas and Kanade (1981) as in Baker and Matthews (2004), steps composed with the warp, gradients of both
        pictures averaged (Malis, 2004), Cauchy weights; gain and offset are solved for together with the warp.
    """
    if model not in FREEDOM:
        raise OptionError(f"the warp model {model!r}", f"one of {', '.join(FREEDOM)}", "leave it at affine")
    first, second = _plane(moving, "the moving picture"), _plane(fixed, "the fixed picture")
    trust = np.ones_like(second) if weights is None else _plane(weights, "the weights")
    if trust.shape != second.shape:
        raise InputError(f"weights of shape {trust.shape}", f"the picture's {second.shape}", "one weight per pixel")
    matrix = np.eye(3) if start is None else np.array(start, dtype=np.float64)
    pyramid = _pyramid(first, second, trust, levels)
    for index in range(len(pyramid) - 1, min(finest, len(pyramid) - 1) - 1, -1):
        scaling = _scaling(2.0**index)
        found = _descend(pyramid[index], np.linalg.inv(scaling) @ matrix @ scaling, FREEDOM[model], iterations)
        matrix = scaling @ found @ np.linalg.inv(scaling)
    return matrix / matrix[2, 2]


def displacement(warp: ArrayLike, shape: tuple[int, int], step: int = 16) -> Array:
    """How far a warp moves the pixels (x, y) of a grid of `step` px over a picture of `shape`: (n, 2) in px."""
    rows, columns = np.mgrid[0 : shape[0] : step, 0 : shape[1] : step].astype(np.float64)
    x, y = columns.ravel(), rows.ravel()
    at_x, at_y = _apply(np.asarray(warp, dtype=np.float64), x, y)
    return np.stack([at_x - x, at_y - y], axis=1)


def rms_px(moved: ArrayLike) -> float:
    """The root of the mean squared length of displacements (n, 2)."""
    return float(np.sqrt(np.mean(np.sum(np.square(moved), axis=-1))))


def unexplained(moving: ArrayLike, fixed: ArrayLike, warp: ArrayLike, weights: ArrayLike | None = None) -> float:
    """How much of the structure of `fixed` is not in `moving` through a warp: 1 - squared correlation, in [0, 1].

    Pixels of weight 0 are left out, and a rim of `RIM_PX`.
    """
    first, second = _plane(moving, "the moving picture"), _plane(fixed, "the fixed picture")
    counted = np.ones(second.shape, bool) if weights is None else _plane(weights, "the weights") > 0
    counted[:RIM_PX] = counted[-RIM_PX:] = False
    counted[:, :RIM_PX] = counted[:, -RIM_PX:] = False
    one, other = _band(warped(first, warp, second.shape, order=3))[counted], _band(second)[counted]
    if one.size < 2 or min(one.std(), other.std()) <= FLAT:
        return 1.0
    return float(1 - np.corrcoef(one, other)[0, 1] ** 2)


def warped(image: ArrayLike, warp: ArrayLike, shape: tuple[int, int] | None = None, order: int = 5) -> Array:
    """`image` as the fixed picture would show it, float64.

    Args:
        image: (H, W) or (H, W, C).
        warp: (3, 3), from pixels of the result to pixels of `image`.
        shape: (h, w) of the result; the image's own when None.
        order: of the interpolating spline; 5 keeps what lies below nine tenths of the Nyquist frequency.
    Returns:
        (h, w[, C]); places outside the image repeat its border.
    """
    ndimage = _ndimage()
    array = np.asarray(image, dtype=np.float64)
    height, width = shape or array.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = _apply(np.asarray(warp, dtype=np.float64), columns, rows)
    planes = array.reshape(*array.shape[:2], -1)
    sampled = [
        ndimage.map_coordinates(planes[..., channel], [y, x], order=order, mode="nearest")
        for channel in range(planes.shape[2])
    ]
    return np.stack(sampled, axis=-1).reshape(height, width, *array.shape[2:])


def checkerboard(shape: tuple[int, int], window_px: int = WINDOW_PX) -> NDArray[np.bool_]:
    """(H, W): true on every other window of a board; two disjoint halves that cover the whole picture."""
    rows, columns = (np.arange(side) // window_px for side in shape)
    return (rows[:, None] + columns[None, :]) % 2 == 0


def _descend(level: Level, matrix: Array, freedom: tuple[int, ...], iterations: int) -> Array:
    ndimage = _ndimage()
    height, width = level.fixed.shape
    reach = max(height, width) / 2
    middle = ((width - 1) / 2, (height - 1) / 2)
    to_unit = np.array([[1 / reach, 0, -middle[0] / reach], [0, 1 / reach, -middle[1] / reach], [0, 0, 1]])
    steep_y, steep_x = _gradient(level.fixed)
    rows, columns = _telling(np.hypot(steep_x, steep_y), level.weights)  # (n,) each; n pixels from here on
    if rows.size < 2 * len(freedom):
        return matrix
    at = (rows, columns)
    fixed, fixed_x, fixed_y, trusted = level.fixed[at], steep_x[at], steep_y[at], level.weights[at]
    across, down = columns.astype(np.float64), rows.astype(np.float64)
    u, v = (across - middle[0]) / reach, (down - middle[1]) / reach
    spline = ndimage.spline_filter(level.moving, order=3, mode="mirror")
    moving_y, moving_x = _gradient(level.moving)
    for _ in range(iterations):
        x, y = _apply(matrix, across, down)
        inside = (x >= 1) & (x <= level.moving.shape[1] - 2) & (y >= 1) & (y <= level.moving.shape[0] - 2)
        sampled = ndimage.map_coordinates(spline, [y, x], order=3, mode="mirror", prefilter=False)
        slope_x, slope_y = (
            ndimage.map_coordinates(plane, [y, x], order=1, mode="nearest") for plane in (moving_x, moving_y)
        )
        slope_x, slope_y = matrix[:2, :2].T @ np.stack([slope_x, slope_y])
        trust = trusted * inside
        gain, offset = _light(sampled, fixed, trust)
        if gain <= 0:
            return matrix
        residual = fixed - gain * sampled - offset
        weights = trust * _cauchy(residual, trust > 0)
        slopes = _slopes((gain * slope_x + fixed_x) / 2 * reach, (gain * slope_y + fixed_y) / 2 * reach, u, v)
        jacobian = np.stack([*(slopes[index] for index in freedom), sampled, np.ones_like(sampled)])
        step = _solution((jacobian * weights) @ jacobian.T, (jacobian * weights) @ residual)
        entries = np.zeros(9)
        entries[list(freedom)] = step[: len(freedom)]
        small = np.linalg.inv(to_unit) @ (np.eye(3) + entries.reshape(3, 3)) @ to_unit
        moved = displacement(small, (height, width), max(height, width) // 8 + 1)
        if not np.isfinite(moved).all() or np.abs(moved).max() > reach:
            return matrix
        matrix = matrix @ small
        matrix = matrix / matrix[2, 2]
        if np.abs(moved).max() < STILL_PX:
            break
    return matrix


def _gradient(plane: Array) -> tuple[Array, Array]:
    down, across = np.gradient(plane)
    return np.asarray(down), np.asarray(across)


def _telling(slope: Array, weights: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the steepest `TELLING` of the pixels that count: flat places say nothing but cost time."""
    counted = slope[weights > 0]
    if not counted.size or counted.max() <= FLAT:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows, columns = np.nonzero((weights > 0) & (slope >= np.quantile(counted, 1 - TELLING)) & (slope > FLAT))
    return rows, columns


def _solution(normal: Array, right: Array) -> Array:
    """Of the normal equations, scaled and faintly regularised: what no pixel supports does not move."""
    scale = np.sqrt(np.maximum(np.diag(normal), FLAT))
    return np.linalg.solve(normal / np.outer(scale, scale) + RIDGE * np.eye(len(scale)), right / scale) / scale


def _slopes(slope_x: Array, slope_y: Array, u: Array, v: Array) -> tuple[Array, ...]:
    """The change of the picture for each entry of the matrix, all in units of (u, v)."""
    radial = -(u * slope_x + v * slope_y)
    return u * slope_x, v * slope_x, slope_x, u * slope_y, v * slope_y, slope_y, u * radial, v * radial


def _light(sampled: Array, fixed: Array, trust: Array) -> tuple[float, float]:
    total = trust.sum()
    if total <= 0:
        return 0.0, 0.0
    sampled_mean, fixed_mean = (trust * sampled).sum() / total, (trust * fixed).sum() / total
    variance = (trust * (sampled - sampled_mean) ** 2).sum()
    if variance <= FLAT * total:
        return 0.0, 0.0
    gain = (trust * (sampled - sampled_mean) * (fixed - fixed_mean)).sum() / variance
    return float(gain), float(fixed_mean - gain * sampled_mean)


def _cauchy(residual: Array, counted: NDArray[np.bool_]) -> Array:
    values = residual[counted]
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0
    if sigma <= FLAT:
        return np.ones_like(residual)
    return 1 / (1 + (residual / (CAUCHY * sigma)) ** 2)


def _band(plane: Array) -> Array:
    """What is neither grain nor light."""
    ndimage = _ndimage()
    fine = ndimage.gaussian_filter(plane, SMOOTHING_PX, mode="nearest")
    return np.asarray(fine - ndimage.gaussian_filter(plane, ILLUMINATION_PX, mode="nearest"))


def _pyramid(moving: Array, fixed: Array, weights: Array, levels: int) -> list[Level]:
    found = []
    for _ in range(levels + 1):
        found.append(Level(_band(moving), _band(fixed), weights))
        if min(*moving.shape, *fixed.shape) < 2 * SMALLEST_PX:
            break
        moving, fixed, weights = _halved(moving), _halved(fixed), _halved(weights)
    return found


def _halved(plane: Array) -> Array:
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    return plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))


def _scaling(factor: float) -> Array:
    """From pixels of a picture reduced by `factor` to pixels of the whole one; centres of areas, not corners."""
    return np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])


def _apply(matrix: Array, x: Array, y: Array) -> tuple[Array, Array]:
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    return (
        (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / depth,
        (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / depth,
    )


def _plane(picture: ArrayLike, name: str) -> Array:
    plane = np.asarray(picture, dtype=np.float64)
    if plane.ndim != 2 or min(plane.shape, default=0) < SMALLEST_PX or not np.isfinite(plane).all():
        raise InputError(
            f"{name} of shape {plane.shape}{'' if np.isfinite(plane).all() else ' with NaN or infinity'}",
            f"one finite channel of at least {SMALLEST_PX}x{SMALLEST_PX} px",
            "a luminance picture",
        )
    return plane


def _ndimage():
    with needs("registration", "eval", "scipy"):
        from scipy import ndimage
    return ndimage
