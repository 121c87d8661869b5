"""Conservation of light: defocus moves light about, it makes none and loses none, and neither may its removal."""

from __future__ import annotations

import numpy as np

CELL_PX = 8
REACH_CELLS = 3
CONTEXT_PX = CELL_PX * (REACH_CELLS + 2)
LEAST = 1e-3
LARGEST_GAIN = 1.25


def conserve_light(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Scale a deblurred picture so that over windows of 56 px it holds as much light as the photo did.

    A network that was trained on scenes with highlights beyond white learns to darken what is blurred; over windows
    wider than the blur that is wrong. Light is taken as the square of display-referred values (the sRGB curve is near
    a power of 2), the gain as its square root, a channel at a time.

    Args:
        before: (h, w, 3) float32 in [0, 1], display-referred.
        after: (h, w, 3) float32, the same deblurred.

    Returns:
        (h, w, 3) float32; exactly `after` wherever nothing in reach has changed. Pixels closer than 40 px to a border
        depend on where that border is.
    """
    light_before, light_after = _window_light(before), _window_light(after)
    gain = np.sqrt((light_before + LEAST) / (light_after + LEAST))
    surplus = np.clip(gain, 1 / LARGEST_GAIN, LARGEST_GAIN) - 1
    return after + after * _enlarged(surplus, after.shape[0], after.shape[1])


def _window_light(picture: np.ndarray) -> np.ndarray:
    """Mean of the squares over windows of 7x7 cells of 8 px, edges repeated: (ceil(h/8), ceil(w/8), 3)."""
    light = np.maximum(picture, 0) ** 2
    padded = np.pad(light, [(0, -light.shape[0] % CELL_PX), (0, -light.shape[1] % CELL_PX), (0, 0)], mode="edge")
    rows, columns = padded.shape[0] // CELL_PX, padded.shape[1] // CELL_PX
    cells = padded.reshape(rows, CELL_PX, columns, CELL_PX, 3).mean(axis=(1, 3))
    for axis in (0, 1):
        ring = [(REACH_CELLS, REACH_CELLS) if a == axis else (0, 0) for a in (0, 1, 2)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(cells, ring, mode="edge"), 2 * REACH_CELLS + 1, axis)
        cells = windows.mean(axis=-1)
    return cells


def _enlarged(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """Linear interpolation between the centres of cells, edges repeated: (height, width, 3)."""
    for axis, length in ((0, height), (1, width)):
        position = np.clip((np.arange(length) + 0.5) / CELL_PX - 0.5, 0, cells.shape[axis] - 1)
        low = position.astype(int)
        high = np.minimum(low + 1, cells.shape[axis] - 1)
        part = (position - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        cells = np.take(cells, low, axis) * (1 - part) + np.take(cells, high, axis) * part
    return cells
