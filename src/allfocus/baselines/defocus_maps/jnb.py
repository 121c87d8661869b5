"""JNB: blur from how many atoms a patch needs. Sharp patches need many atoms of a dictionary of blurred ones.

Source: Shi, Xu and Jia, "Just Noticeable Defocus Blur Detection and Estimation", CVPR 2015; constants as in the
authors' demo. The authors' dictionary and their curve from sparsity to sigma are not public: both are ours, learnt and
calibrated by tools/jnb_calibrate.py. The permutohedral lattice of their demo is replaced by a bilateral grid.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from allfocus.baselines.base import Progress, span
from allfocus.baselines.bilateral_grid import joint_bilateral
from allfocus.baselines.deconvolution import MapBaseline
from allfocus.baselines.domain_transform import fill, recursive_filter
from allfocus.baselines.loops import available_threads
from allfocus.baselines.sparse_coding import count_atoms
from allfocus.errors import InputError, WeightsError

PATCH_PX = 8
PEAK_PX = 4.0
"""The largest sigma that the method reports, px."""

RESIDUAL = PATCH_PX * 2.0 * 1.15
"""Length of the uncoded rest of a patch in grey levels of 255: eight times a noise of 2, times the usual gain."""

_FEW = 3
_CALIBRATION = "jnb_calibration.npz"
_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Calibration:
    """What tools/jnb_calibrate.py learnt.

    Attributes:
        dictionary: (A, 64) float32, atoms of unit length and mean 0.
        sparsity: (K,) increasing propagated atom counts.
        sigma_px: (K,) decreasing blur at these counts, px.
        note: where it comes from: photos, licences, settings.
    """

    dictionary: NDArray[np.float32]
    sparsity: NDArray[np.float64]
    sigma_px: NDArray[np.float64]
    note: str

    def sigma(self, sparsity: NDArray) -> NDArray[np.float32]:
        """Blur in px, in [0, 4], at propagated atom counts of any shape."""
        sigma_px = np.interp(sparsity, self.sparsity, self.sigma_px)
        return np.clip(sigma_px, 0.0, PEAK_PX).astype(np.float32)

    def to_bytes(self) -> bytes:
        """The npz file that `from_bytes` reads."""
        out = io.BytesIO()
        np.savez_compressed(
            out, dictionary=self.dictionary, sparsity=self.sparsity, sigma_px=self.sigma_px, note=np.array(self.note)
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "calibration") -> Calibration:
        """Read what `to_bytes` wrote; WeightsError when it is damaged or of another shape."""
        expected = "the npz that tools/jnb_calibrate.py writes"
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                found = cls(arrays["dictionary"], arrays["sparsity"], arrays["sigma_px"], str(arrays["note"]))
        except Exception as error:  # zipfile, zlib, numpy and KeyError all mean the same here
            raise WeightsError(f"{name} cannot be read ({error})", expected, "calibrate again") from error
        fits = (
            found.dictionary.ndim == 2
            and found.dictionary.shape[1] == PATCH_PX**2
            and found.sparsity.shape == found.sigma_px.shape
            and bool((np.diff(found.sparsity) > 0).all())
        )
        if not fits:
            raise WeightsError(f"{name} holds arrays of other shapes", expected, "calibrate again")
        return found


@cache
def shipped_calibration() -> Calibration:
    """The dictionary and the curve inside the package."""
    content = resources.files("allfocus.baselines.defocus_maps").joinpath(_CALIBRATION).read_bytes()
    return Calibration.from_bytes(content, _CALIBRATION)


def sigma_map(
    rgb: NDArray, progress: Progress | None = None, calibration: Calibration | None = None, threads: int = 0
) -> NDArray[np.float32]:
    """Defocus map of a photo.

    Args:
        rgb: (H, W, 3) display-referred, in [0, 1].
        progress: called with the share done.
        calibration: another dictionary and curve than the shipped ones.
        threads: that code patches; 0 chooses.

    Returns:
        (H, W) float32, standard deviation of the Gaussian blur in px, in [0, 4].

    Raises:
        InputError: a side shorter than a patch (8 px).
    """
    calibration = calibration or shipped_calibration()
    grey = 255.0 * (np.asarray(rgb, dtype=np.float64) @ np.array([0.299, 0.587, 0.114]))
    raw = sparsity(grey, calibration.dictionary, span(progress, 0.0, 0.8), threads)
    span(progress, 0.8, 1.0)(0.0, "filling")
    spread = propagate(raw, grey)
    span(progress, 0.8, 1.0)(1.0, "filling")
    return calibration.sigma(spread)


def sparsity(
    grey: NDArray, dictionary: NDArray, progress: Progress | None = None, threads: int = 0
) -> NDArray[np.int32]:
    """How many atoms the patch around each pixel needs.

    Args:
        grey: (H, W) in [0, 255].
        dictionary: (A, 64), atoms of unit length.

    Returns:
        (H, W) int32 in 0..64; the patch of pixel (y, x) covers rows y-3..y+4 and columns x-3..x+4. The outermost
        pixels, which have no whole patch, repeat the nearest that has one.

    Raises:
        InputError: a side shorter than 8 px.
    """
    height, width = grey.shape
    if min(height, width) < PATCH_PX:
        raise InputError(f"a photo of {width}x{height} px", f"at least {PATCH_PX}x{PATCH_PX} px", "use a larger photo")
    windows = np.lib.stride_tricks.sliding_window_view(grey.astype(np.float32), (PATCH_PX, PATCH_PX))
    starts = range(0, windows.shape[0], _ROWS_AT_ONCE)

    def strip(start: int) -> NDArray[np.int32]:
        patches = windows[start : start + _ROWS_AT_ONCE].reshape(-1, PATCH_PX**2)
        patches = patches - patches.mean(axis=1, keepdims=True)
        return count_atoms(patches, dictionary, RESIDUAL).reshape(-1, windows.shape[1])

    report = span(progress, 0.0, 1.0)
    strips = []
    with ThreadPoolExecutor(threads or available_threads()) as pool:
        for i, counts in enumerate(pool.map(strip, starts)):
            report(i / len(starts), "sparse coding")
            strips.append(counts)
    before, after = (PATCH_PX - 1) // 2, PATCH_PX // 2
    return np.pad(np.concatenate(strips), (before, after), mode="edge")


def propagate(raw: NDArray, grey: NDArray) -> NDArray[np.float64]:
    """Spread the counts (H, W) over flat places and smooth them, along the edges of the grey photo in [0, 255]."""
    guide = ndimage.gaussian_filter(grey / 255.0, 1.0, radius=2, mode="nearest")
    counts = raw.astype(np.float64)
    known = raw > _FEW
    if known.all():
        return recursive_filter(counts, guide, sigma_space_px=10.0, sigma_range=0.2, iterations=3)
    y, x = np.indices((5, 5)) - 2
    disc = y**2 + x**2 <= 4
    known = np.asarray(ndimage.binary_erosion(known, structure=disc, border_value=1), dtype=bool)
    filled = fill(counts, known, guide, sigma_space_px=15.0, sigma_range=0.15, iterations=3)
    return joint_bilateral(filled, guide, sigma_space_px=5.0, sigma_range=0.1)


class JNB(MapBaseline):
    """JNB, then deconvolution."""

    peak_sigma_px = PEAK_PX

    def sigma_map(self, rgb: NDArray, progress: Progress | None = None) -> NDArray[np.float32]:
        """See `MapBaseline.sigma_map`."""
        return sigma_map(rgb, progress)
