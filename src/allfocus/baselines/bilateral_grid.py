"""Joint bilateral filter of a grey guide, on a coarse grid over position and brightness.

Sources: Paris and Durand, "A Fast Approximation of the Bilateral Filter using a Signal Processing Approach", ECCV 2006;
Chen, Paris and Durand, "Real-time Edge-Aware Image Processing with the Bilateral Grid", SIGGRAPH 2007.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def joint_bilateral(signal: NDArray, guide: NDArray, sigma_space_px: float, sigma_range: float) -> NDArray[np.float64]:
    """Average `signal` (H, W) over near pixels whose `guide` (H, W) is alike; a constant stays constant.

    The sigmas are standard deviations in the picture plane, px, and in guide values.
    """
    height, width = signal.shape
    y, x = np.indices(signal.shape, dtype=np.float64)
    level = (guide - guide.min()) / sigma_range
    place = np.stack([y / sigma_space_px, x / sigma_space_px, level])  # in cells: the Gaussian there has sigma 1
    place += 1.0
    shape = tuple(int(np.ceil(p.max())) + 2 for p in place)
    corner = np.floor(place).astype(np.intp)
    part = place - corner
    grid = np.zeros((2, *shape))
    flat = np.ravel_multi_index(tuple(corner), shape).ravel()
    strides = (shape[1] * shape[2], shape[2], 1)
    values = np.asarray(signal, dtype=np.float64).ravel()
    for dy in (0, 1):
        for dx in (0, 1):
            for dz in (0, 1):
                share = [part[a] if d else 1.0 - part[a] for a, d in enumerate((dy, dx, dz))]
                weight = (share[0] * share[1] * share[2]).ravel()
                cell = flat + dy * strides[0] + dx * strides[1] + dz * strides[2]
                size = int(np.prod(shape))
                grid[0] += np.bincount(cell, weight * values, minlength=size).reshape(shape)
                grid[1] += np.bincount(cell, weight, minlength=size).reshape(shape)
    # splatting and slicing linearly each add a variance of 1/6 cell or so
    remaining = np.sqrt(1.0 - 1.0 / 3.0)
    grid = ndimage.gaussian_filter(grid, (0, remaining, remaining, remaining), mode="constant")
    above = ndimage.map_coordinates(grid[0], place.reshape(3, -1), order=1)
    below = ndimage.map_coordinates(grid[1], place.reshape(3, -1), order=1)
    return (above / np.maximum(below, np.finfo(np.float64).tiny)).reshape(height, width)
