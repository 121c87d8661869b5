"""Deblurring with a defocus map: hyper-Laplacian deconvolution at a few blur levels, each pixel from its own level.

Source of the solver: Krishnan and Fergus, "Fast Image Deconvolution using Hyper-Laplacian Priors", NIPS 2009. The
levels, the padding and the constants are those of the scripts published with DMENet, which suit the IFAN paper's
comparison of EBDB, JNB and DMENet (https://github.com/codeslake/DMENet, folder deconvolution).
"""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from allfocus.baselines.base import Baseline, BaselineOptions, BaselineResult, Progress, check_photo, span
from allfocus.baselines.loops import available_threads, compiled
from allfocus.errors import InputError, OptionError

LAMBDA = {"cuhk": 420.0, "dpdd": 16.8, "realdof": 4.2}
"""Weight of the data term that the comparison used on each set."""

LEVELS = 33
_KERNEL_RADIUS = 50
_TAPERS = 4
_MAP_SHARE = 0.35  # of the progress, where a map comes before the deconvolution

SIGMA_TO_RADIUS = 2.0
"""A disc of radius r has the variance of a Gaussian of r / 2."""

_BETA_START, _BETA_GROWTH, _BETA_STOP = 1.0, 2.0 * np.sqrt(2.0), 256.0
_TABLE_REACH, _TABLE_SIZE = 10.0, 100_001


@dataclass(frozen=True)
class Prior:
    """What is assumed about sharp photos: `weight`, lambda, of the photo against its gradients, whose penalty has the
    exponent `alpha`, in (0, 2].
    """

    weight: float = LAMBDA["dpdd"]
    alpha: float = 1.5

    def __post_init__(self) -> None:
        if not self.weight > 0 or not 0 < self.alpha <= 2:
            raise OptionError(
                f"lambda {self.weight} and alpha {self.alpha}", "lambda > 0 and 0 < alpha <= 2", "16.8, 1.5"
            )


def deblur(
    rgb: NDArray,
    sigma_px: NDArray,
    prior: Prior | None = None,
    selection: Literal["hard", "blend"] = "hard",
    threads: int = 0,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Undo a Gaussian blur whose width differs from place to place.

    Args:
        rgb: (H, W, C) display-referred, in [0, 1].
        sigma_px: (H, W) standard deviation of the blur, px, 0 or more.
        prior: lambda and alpha.
        selection: "hard" as in the comparison: each pixel takes the result of the level just below its sigma; "blend"
            mixes the results of the levels on both sides of it.
        threads: how many channels and levels are processed at once; 0 chooses.
        progress: called with the share done.

    Returns:
        (H, W, C) float32 in [0, 1]. Where sigma is 0 (or below 0.118 px, where a sampled Gaussian is a single pixel)
        the pixels come back as they were.

    Raises:
        InputError: the map is of another size than the photo, negative or not finite.
    """
    prior = prior or Prior()
    if sigma_px.shape != rgb.shape[:2] or not np.isfinite(sigma_px).all() or sigma_px.min(initial=0.0) < 0:
        raise InputError(
            f"a defocus map of shape {sigma_px.shape} for a photo of shape {rgb.shape}",
            "one finite sigma of 0 or more for each pixel",
            "estimate the map on this photo",
        )
    photo = np.asarray(rgb, dtype=np.float32)
    levels, shares = _shares(sigma_px, selection)
    result = np.zeros_like(photo)
    tasks = [(k, c) for k in range(len(levels)) for c in range(photo.shape[2])]

    def work(task: tuple[int, int]) -> NDArray[np.float32]:
        level, channel = task
        return deconvolve(photo[..., channel], gaussian(levels[level]), prior)

    threads = threads or available_threads()
    with ThreadPoolExecutor(threads) as pool:
        # submitted in step with what is taken, so that finished planes do not pile up
        waiting = []
        for done, (level, channel) in enumerate(tasks):
            while len(waiting) < 2 * threads and done + len(waiting) < len(tasks):
                waiting.append(pool.submit(work, tasks[done + len(waiting)]))
            plane = waiting.pop(0).result()
            here, share = shares[level]
            result[..., channel][here] += share * plane[here]
            if progress is not None:
                progress((done + 1) / len(tasks), "deconvolution")
    return np.clip(result, 0.0, 1.0, out=result)


def quantise(sigma_px: NDArray) -> NDArray[np.float64]:
    """Edges of at most 33 levels: the ends, and 32 quantiles of the *different* values in the map, px, increasing."""
    different = np.unique(np.asarray(sigma_px, dtype=np.float64))
    inner = np.quantile(different, np.arange(1, LEVELS) / LEVELS, method="hazen")
    return np.unique(np.concatenate([different[:1], inner, different[-1:]]))


def _shares(
    sigma_px: NDArray, selection: str
) -> tuple[list[float], list[tuple[NDArray[np.bool_], NDArray[np.float32]]]]:
    """Levels that are used and, for each, which pixels take how much of it; a pixel's shares add up to 1."""
    if selection not in ("hard", "blend"):
        raise OptionError(f"selection {selection!r}", "'hard' or 'blend'", "leave it out for 'hard'")
    edges = quantise(sigma_px)
    below = np.clip(np.searchsorted(edges, sigma_px, side="right") - 1, 0, max(len(edges) - 2, 0))
    if selection == "hard" or len(edges) == 1:
        above_share = np.zeros(sigma_px.shape, dtype=np.float32)
    else:
        above_share = ((sigma_px - edges[below]) / (edges[below + 1] - edges[below])).astype(np.float32)
    levels, shares = [], []
    for k, level in enumerate(edges):
        share = np.where(below == k, 1.0 - above_share, 0.0) + np.where(below == k - 1, above_share, 0.0)
        here = share > 0
        if here.any():
            levels.append(float(level))
            shares.append((here, share[here].astype(np.float32)))
    return levels, shares


def gaussian(sigma_px: float) -> NDArray[np.float64]:
    """Sampled Gaussian, sum 1, on up to 101x101 px, cut to where it is not negligible (1x1 for a sigma near 0)."""
    if sigma_px <= 0:
        return np.ones((1, 1))
    offset = np.arange(-_KERNEL_RADIUS, _KERNEL_RADIUS + 1)
    line = np.exp(-(offset**2) / (2 * sigma_px**2))
    reach = int(np.count_nonzero(line[_KERNEL_RADIUS:] >= np.finfo(np.float64).eps)) - 1
    line = line[_KERNEL_RADIUS - reach : _KERNEL_RADIUS + reach + 1]
    kernel = np.outer(line, line)
    kernel[kernel < np.finfo(np.float64).eps] = 0.0
    return kernel / kernel.sum()


def deconvolve(plane: NDArray, kernel: NDArray, prior: Prior | None = None) -> NDArray[np.float32]:
    """min_x lambda/2 |kernel * x - plane|^2 + sum |gradient x|^alpha, by half-quadratic splitting.

    Args:
        plane: (H, W), one channel in [0, 1].
        kernel: (K, K) with K odd, sum 1.
        prior: lambda and alpha.

    Returns:
        (H, W) float32, not clipped; the plane itself for a 1x1 kernel.
    """
    prior = prior or Prior()
    if kernel.size == 1:
        return np.array(plane, dtype=np.float32)
    reach = len(kernel) // 2
    height, width = plane.shape
    # a little more than the kernel's reach where that makes the transform quick
    padded_shape = tuple(fft.next_fast_len(n + 2 * reach, real=True) or n + 2 * reach for n in (height, width))
    extra = [(reach, full - n - reach) for n, full in zip((height, width), padded_shape, strict=True)]
    padded = np.pad(np.asarray(plane, dtype=np.float32), extra, mode="edge")
    transfer = _transfer(kernel, padded_shape)
    padded = _taper(padded, kernel, transfer)
    return _solve(padded, transfer, prior)[reach : reach + height, reach : reach + width]


def _spectrum(plane: NDArray) -> NDArray:
    return np.asarray(fft.rfft2(plane))


def _picture(spectrum: NDArray, shape: tuple[int, ...]) -> NDArray:
    return np.asarray(fft.irfft2(spectrum, shape, overwrite_x=True))


def _transfer(kernel: NDArray, shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """Half spectrum of the kernel, its middle at the origin."""
    whole = np.zeros(shape)
    whole[: kernel.shape[0], : kernel.shape[1]] = kernel
    whole = np.roll(whole, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), axis=(0, 1))
    return _spectrum(whole).astype(np.complex64)


def _taper(padded: NDArray[np.float32], kernel: NDArray, transfer: NDArray) -> NDArray[np.float32]:
    """Make opposite borders meet: near a border, mix in the circularly blurred picture, four times."""
    keep = [1.0 - _correlation(kernel.sum(axis=1 - axis), n) for axis, n in enumerate(padded.shape)]
    weight = np.outer(*keep).astype(np.float32)
    low, high = padded.min(), padded.max()
    for _ in range(_TAPERS):
        blurred = _picture(_spectrum(padded) * transfer, padded.shape)
        padded = np.clip(blurred + weight * (padded - blurred), low, high)
    return padded


def _correlation(line: NDArray, length: int) -> NDArray[np.float64]:
    """Autocorrelation of a 1-D kernel around the ends of `length` samples, 1 at both ends, 0 beyond the kernel."""
    spectrum = np.asarray(fft.rfft(line, length - 1))
    circular = np.asarray(fft.irfft(np.abs(spectrum) ** 2, length - 1))
    closed = np.append(circular, circular[0])
    return closed / closed.max()


def _solve(blurred: NDArray[np.float32], transfer: NDArray, prior: Prior) -> NDArray[np.float32]:
    """Six half-quadratic steps on a circular picture, starting from the blurred one."""
    height, width = blurred.shape
    down = 2.0 - 2.0 * np.cos(2 * np.pi * np.arange(height) / height)
    across = 2.0 - 2.0 * np.cos(2 * np.pi * np.arange(width // 2 + 1) / width)
    slope_power = (down[:, None] + across[None, :]).astype(np.float32)
    power = np.square(np.abs(transfer)).astype(np.float32)
    data = np.conj(transfer) * _spectrum(blurred)
    sharp = blurred
    beta = _BETA_START
    while beta < _BETA_STOP:
        ratio = np.float32(beta / prior.weight)
        spectrum = _spectrum(shrunk_divergence(sharp, beta, prior.alpha))
        spectrum *= ratio
        spectrum += data
        spectrum /= power + ratio * slope_power
        sharp = _picture(spectrum, blurred.shape)
        beta *= _BETA_GROWTH
    return sharp


def shrunk_divergence(plane: NDArray[np.float32], beta: float, alpha: float) -> NDArray[np.float32]:
    """Gradients (forward, circular), shrunk, and gathered back by the adjoint of the gradient: (H, W) to (H, W)."""
    if alpha == 1.5:
        out = np.empty_like(plane)
        _shrunk_divergence_three_halves(np.ascontiguousarray(plane), np.float32(beta), out)
        return out
    across = shrink(np.roll(plane, -1, axis=1) - plane, beta, alpha)
    down = shrink(np.roll(plane, -1, axis=0) - plane, beta, alpha)
    return (np.roll(across, 1, axis=1) - across + np.roll(down, 1, axis=0) - down).astype(np.float32)


def shrink(slopes: NDArray, beta: float, alpha: float) -> NDArray[np.float64]:
    """The w that minimises |w|^alpha + beta/2 (w - v)^2 for each v in `slopes`, which lie in [-10, 10].

    alpha 1 is the soft threshold at 1/beta, alpha 2 is beta v / (2 + beta).
    """
    # where the derivative is zero, v is an explicit function of w: tabulate that and read it backwards
    least = (alpha * max(1.0 - alpha, 0.0) / beta) ** (1.0 / (2.0 - alpha)) if alpha < 1 else 0.0
    solution = least + (_TABLE_REACH - least) * np.linspace(0.0, 1.0, _TABLE_SIZE) ** 2
    with np.errstate(divide="ignore"):
        slope = solution + alpha / beta * solution ** (alpha - 1.0)
    size = np.abs(slopes)
    found = np.interp(size, slope, solution, left=0.0)
    better = found**alpha + 0.5 * beta * (found - size) ** 2 < 0.5 * beta * size**2
    return np.sign(slopes) * np.where(better, found, 0.0)


@compiled(fastmath=True, inline="always")
def _shrink_three_halves(slope, beta):
    """`shrink` for alpha 1.5: with u = sqrt(w), beta u^2 + 1.5 u - beta |v| = 0."""
    size = abs(slope)
    # the stable form of (-1.5 + sqrt(2.25 + 4 beta^2 |v|)) / (2 beta)
    root = (
        np.float32(2.0)
        * beta
        * size
        / (np.float32(1.5) + np.sqrt(np.float32(2.25) + np.float32(4.0) * beta * beta * size))
    )
    return np.copysign(root * root, slope)


@compiled(fastmath=True)
def _shrunk_divergence_three_halves(plane, beta, out):
    height, width = plane.shape
    across = np.empty(width, dtype=np.float32)
    above = np.empty(width, dtype=np.float32)
    below = np.empty(width, dtype=np.float32)
    for x in range(width):
        above[x] = _shrink_three_halves(plane[0, x] - plane[height - 1, x], beta)
    for y in range(height):
        under = y + 1 if y + 1 < height else 0
        for x in range(width):
            below[x] = _shrink_three_halves(plane[under, x] - plane[y, x], beta)
        for x in range(width - 1):
            across[x] = _shrink_three_halves(plane[y, x + 1] - plane[y, x], beta)
        across[width - 1] = _shrink_three_halves(plane[y, 0] - plane[y, width - 1], beta)
        out[y, 0] = across[width - 1] - across[0] + above[0] - below[0]
        for x in range(1, width):
            out[y, x] = across[x - 1] - across[x] + above[x] - below[x]
        above, below = below, above


class MapBaseline(Baseline):
    """A method that estimates the defocus map and deconvolves with it (hyper-Laplacian prior).

    Attributes:
        peak_sigma_px: the largest standard deviation that it can report, px.
    """

    peak_sigma_px: ClassVar[float]

    @abstractmethod
    def sigma_map(self, rgb: NDArray, progress: Progress | None = None) -> NDArray[np.float32]:
        """(H, W) float32: standard deviation of the Gaussian blur at each pixel of a photo (H, W, 3), px."""

    def defocus_map(self, rgb: NDArray, progress: Progress | None = None) -> NDArray[np.float32]:
        """The radius of the disc as wide as the Gaussian that the method finds; see `Baseline.defocus_map`."""
        check_photo(rgb)
        return np.float32(SIGMA_TO_RADIUS) * self.sigma_map(rgb, span(progress, 0.0, 1.0))

    def sharpen(self, rgb: NDArray[np.float32], options: BaselineOptions, progress: Progress | None) -> BaselineResult:
        """See `Baseline.sharpen`."""
        photo = _rounded(rgb) if options.eight_bit else rgb
        sigma_px = self.sigma_map(photo, span(progress, 0.0, _MAP_SHARE))
        stored = np.rint(sigma_px / self.peak_sigma_px * 255) / 255 * self.peak_sigma_px  # kept as 8-bit pictures
        report = span(progress, _MAP_SHARE, 1.0)
        sharp = deblur(photo, stored, Prior(options.data_weight), options.selection, progress=report)
        radius_px = np.float32(SIGMA_TO_RADIUS) * sigma_px
        return BaselineResult(_rounded(sharp) if options.eight_bit else sharp, radius_px)


def _rounded(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    return (np.rint(rgb * 255) / 255).astype(np.float32)
