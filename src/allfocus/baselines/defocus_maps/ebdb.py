"""EBDB: blur from the ratio of gradients at edges, over several scales.

Source: Karaali and Jung, "Edge-Based Defocus Blur Estimation With Adaptive Scale Selection", IEEE TIP 2018;
constants as in the authors' MATLAB code.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import linalg

from allfocus.baselines.base import Progress, span
from allfocus.baselines.canny import edges
from allfocus.baselines.deconvolution import MapBaseline
from allfocus.baselines.domain_transform import fill, recursive_filter

PEAK_PX = 5.0
"""The largest sigma that the method reports, px."""

_EDGE_SCALES_PX = np.arange(1.0, 5.01, 0.5)
_RELIABLE_SCALES = 4
_FINE_SCALE_PX = 1.0
_SMOOTHNESS = 10.0


def sigma_map(rgb: NDArray, progress: Progress | None = None) -> NDArray[np.float32]:
    """Standard deviation of the Gaussian blur, (H, W) in [0, 5] px, of a photo (H, W, 3) in [0, 1]; 0 without edges."""
    luma = gamma_luma(rgb)
    at_scales = []
    for i, scale_px in enumerate(_EDGE_SCALES_PX):
        span(progress, 0.0, 0.6)(i / len(_EDGE_SCALES_PX), "edges")
        at_scales.append(edges(luma, scale_px))
    reliable, persistence, coarse_px = choose_scales(np.stack(at_scales))
    span(progress, 0.6, 0.7)(0.0, "blur at edges")
    at_edges = edge_blur(luma, reliable, coarse_px)
    span(progress, 0.6, 0.7)(0.5, "smoothing along edges")
    at_edges = smooth_along_edges(at_edges, reliable, persistence)
    span(progress, 0.7, 1.0)(0.0, "filling")
    guide = recursive_filter(rgb, rgb, sigma_space_px=7.0, sigma_range=0.5, iterations=5)
    span(progress, 0.7, 1.0)(0.5, "filling")
    dense = fill(at_edges, reliable, guide, sigma_space_px=min(luma.shape) / 8, sigma_range=3.75, iterations=5)
    span(progress, 0.7, 1.0)(1.0, "filling")
    return np.clip(dense, 0.0, PEAK_PX).astype(np.float32)


def gamma_luma(rgb: NDArray) -> NDArray[np.float64]:
    """Luma of BT.601 in its limited range (16 to 235 of 255), to the power 2.4: (H, W) from (H, W, 3) in [0, 1]."""
    weights = np.array([65.481, 128.553, 24.966])
    return ((np.asarray(rgb, dtype=np.float64) @ weights + 16.0) / 255.0) ** 2.4


def choose_scales(at_scales: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
    """Which edges to trust, and how coarse a gradient each is measured with.

    Args:
        at_scales: (9, H, W) edges at the nine scales.

    Returns:
        reliable (H, W): an edge at each of the first four scales;
        persistence (H, W): at how many scales there is an edge;
        coarse_px (H, W): half of the last scale before the edge first vanishes, or of the largest when it never does.
    """
    reliable = np.asarray(at_scales[:_RELIABLE_SCALES].all(axis=0))
    persistence = at_scales.sum(axis=0)
    vanishes = at_scales[:-1] & ~at_scales[1:]  # after scale i
    last = np.where(vanishes.any(axis=0), vanishes.argmax(axis=0), len(at_scales) - 1)
    return reliable, persistence, 0.5 * _EDGE_SCALES_PX[last]


def edge_blur(luma: NDArray, reliable: NDArray[np.bool_], coarse_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blur at edges: for a step edge blurred by sigma, R^2 = (sigma^2 + coarse^2) / (sigma^2 + fine^2).

    Measured where `reliable`, with gradients of `coarse_px` (there larger than 1): sigma in [0, 5] px, 0 elsewhere and
    where the ratio has no solution.
    """
    blur_px = np.zeros(luma.shape)
    fine = _gradient_magnitude(luma, _FINE_SCALE_PX, window_px=2 * math.ceil(2 * _FINE_SCALE_PX) + 3)[reliable]
    at_edge_px = coarse_px[reliable]
    coarse = np.zeros_like(fine)
    for scale_px in np.unique(at_edge_px):
        here = at_edge_px == scale_px
        magnitude = _gradient_magnitude(luma, scale_px, window_px=2 * math.ceil(2 * scale_px) + 1)
        coarse[here] = magnitude[reliable][here]
    with np.errstate(divide="ignore", invalid="ignore"):
        squared_ratio = (fine / coarse) ** 2
        variance = (squared_ratio * _FINE_SCALE_PX**2 - at_edge_px**2) / (1.0 - squared_ratio)
        sigma = np.sqrt(variance)
    blur_px[reliable] = np.where(np.isnan(sigma), 0.0, np.minimum(sigma, PEAK_PX))
    return blur_px


def _gradient_magnitude(plane: NDArray, scale_px: float, window_px: int) -> NDArray[np.float64]:
    """|gradient| of the plane under a Gaussian of `scale_px`, its window cut at `window_px`, mirrored at the border."""
    offset = np.arange(-window_px, window_px + 1)
    smooth = np.exp(-(offset**2) / (2 * scale_px**2)) / (math.sqrt(2 * math.pi) * scale_px)
    slope = -offset / scale_px**2 * smooth
    across = ndimage.convolve1d(ndimage.convolve1d(plane, smooth, axis=0), slope, axis=1)
    down = ndimage.convolve1d(ndimage.convolve1d(plane, smooth, axis=1), slope, axis=0)
    return np.hypot(across, down)


def smooth_along_edges(
    blur_px: NDArray[np.float64], reliable: NDArray[np.bool_], persistence: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Even out the blur within each connected edge: a sparse positive-definite system over the edge pixels.

    Each pixel is held to its own measurement with weight 1 + persistence, and to each of its 8 neighbours on an edge
    with weight 2 * 10.

    Args:
        blur_px: (H, W), measured at edges.
        reliable: (H, W), the edge pixels.
        persistence: (H, W), at how many scales each is an edge.

    Returns:
        (H, W), 0 away from edges; a constant along an edge stays that constant.
    """
    count = int(reliable.sum())
    if count == 0:
        return np.zeros_like(blur_px)
    number = np.full(np.add(reliable.shape, 2), -1, dtype=np.int64)  # a border saves the bounds checks
    number[1:-1, 1:-1][reliable] = np.arange(count)
    y, x = np.nonzero(reliable)
    here, there = [], []
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        neighbour = number[y + 1 + dy, x + 1 + dx]
        here.append(np.nonzero(neighbour >= 0)[0])
        there.append(neighbour[neighbour >= 0])
    i, j = np.concatenate(here), np.concatenate(there)
    neighbours = np.bincount(i, minlength=count) + np.bincount(j, minlength=count)
    trust = 1.0 + persistence[reliable]
    diagonal = 2 * _SMOOTHNESS * neighbours + trust
    coupling = sparse.coo_array((np.full(len(i), -2 * _SMOOTHNESS), (i, j)), shape=(count, count))
    system = (coupling + coupling.T + sparse.diags_array(diagonal)).tocsr()
    measured = blur_px[reliable]
    # strictly diagonally dominant with a ratio of at most 320 / 5: a few dozen steps
    solution, failed = linalg.cg(system, measured * trust, x0=measured, rtol=1e-8, M=sparse.diags_array(1.0 / diagonal))
    assert failed == 0, "conjugate gradients must converge on a strictly diagonally dominant system"
    result = np.zeros_like(blur_px)
    result[reliable] = solution
    return result


class EBDB(MapBaseline):
    """EBDB, then deconvolution."""

    peak_sigma_px = PEAK_PX

    def sigma_map(self, rgb: NDArray, progress: Progress | None = None) -> NDArray[np.float32]:
        """See `MapBaseline.sigma_map`."""
        return sigma_map(rgb, progress)
