"""Do simulated samples look like real pairs to a ruler?

Measures the same things on tiles of real pairs and on samples of the simulator, with its settings and with those that
came first: PSNR of the blurred against the sharp picture, spectra, noise, the blur radius that best turns the sharp
tile into the blurred one in small windows, and what of the variance that fit leaves, with a disc, with a Gaussian, and
with a disc over display values.

    python benchmarks/simulator_calibration.py --photos DIR --real DIR --leave-out src/allfocus/weights/held_out.txt

`--real` holds source/ and target/. The figures go to results/simulator_calibration.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from allfocus.metrics import psnr, psnr_fit
from allfocus.simulate import Lens, Simulator
from allfocus.simulate.psf import kernels
from simulator_ablation import read_pairs, settings, usable_photos

TILE_PX, WINDOW_PX, BORDER_PX, PAD_PX = 256, 48, 8, 24
PADDED_PX = TILE_PX + 2 * PAD_PX
RADII_PX = (*np.arange(0.0, 4.0, 0.5), *np.arange(4.0, 18.0, 1.0))
MODELS = {"disc": ("disc", True), "gaussian": ("gaussian", True), "disc_on_display_values": ("disc", False)}
"""Shape of the blur, and whether light is blurred."""
LEAST_TEXTURE = 0.04
"""Standard deviation of the display values in a window of the sharp picture; below it any blur fits."""
BANDS = {"0.03-0.06": (0.03, 0.06), "0.06-0.12": (0.06, 0.12), "0.12-0.25": (0.12, 0.25), "0.25-0.45": (0.25, 0.45)}
"""Frequencies in cycles per px."""
QUANTILES = (0.25, 0.50, 0.75, 0.90, 0.95)
REFERENCE_WIDTH_PX = 1680
_NOISE_FILTER = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / 6.0
Tile = tuple[np.ndarray, np.ndarray, float]
"""Blurred and sharp, float (256, 256, 3) in [0, 1], and the width of the whole picture over 1680 px."""


def main() -> None:
    options = _arguments()
    torch.set_num_threads(1)
    found = {"real": measured(real_tiles(options.real))}
    for name, variant in (("simulated", "full"), ("simulated_first_settings", "first-settings")):
        simulator = Simulator(settings(variant, TILE_PX), usable_photos(options.photos, options.leave_out))
        found[name] = measured(simulated_tiles(simulator, options.samples))
    record = {"question": "statistics of real pairs and of simulated samples", "tile_px": TILE_PX, **found}
    text = json.dumps(record, indent=1) + "\n"
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text, end="")


def real_tiles(folder: Path) -> Iterator[Tile]:
    """Tiles side by side that lie within the photos."""
    for source, target in read_pairs(folder):
        height, width = source.shape[:2]
        for top in range(0, height - TILE_PX + 1, TILE_PX):
            for left in range(0, width - TILE_PX + 1, TILE_PX):
                place = np.s_[top : top + TILE_PX, left : left + TILE_PX]
                yield source[place], target[place], width / REFERENCE_WIDTH_PX


def simulated_tiles(simulator: Simulator, count: int) -> Iterator[Tile]:
    for seed in range(count):
        sample = simulator.sample([seed])
        source, target = (picture[0].permute(1, 2, 0).numpy() for picture in (sample.centre, sample.sharp))
        scale = sample.parameters[0]["resolution_scale"]
        assert isinstance(scale, float)
        yield source, target, scale


def measured(tiles: Iterable[Tile]) -> dict[str, Any]:
    """Everything that is compared, over all tiles."""
    quality, noise, slopes = [], [], []
    bands: list[np.ndarray] = []
    fits: dict[str, list[np.ndarray]] = {name: [] for name in MODELS}
    scales = []
    count = 0
    for source, target, scale in tiles:
        count += 1
        quality.append((psnr(source, target), psnr_fit(source, target)))
        noise.append([noise_level(picture) for picture in (source, target)])
        spectra = [band_powers(picture) for picture in (source, target)]
        bands.append(np.array(spectra))
        slopes.append(slope(target))
        for name, (profile, in_light) in MODELS.items():
            fits[name].append(best_blur(source, target, profile, in_light))
        scales += [scale] * len(fits["disc"][-1])
    decibel = 10.0 * np.log10(np.array(bands) + 1e-9)  # (tiles, 2, bands)
    disc = np.concatenate(fits["disc"])  # (windows, 3): radius, variance left, variance
    return {
        "tiles": count,
        "windows": len(disc),
        "psnr": _spread([min(one, 60.0) for one, _ in quality]),
        "psnr_fit": _spread([min(one, 60.0) for _, one in quality]),
        "spectral_slope_of_the_sharp_picture": _spread(slopes),
        "power_of_the_sharp_picture_db": _named(np.median(decibel[:, 1] - decibel[:, 1, :1], axis=0)),
        "power_of_the_blurred_over_the_sharp_picture_db": _named(np.median(decibel[:, 0] - decibel[:, 1], axis=0)),
        "noise_of_the_blurred_picture_in_255ths": _spread([one for one, _ in noise]),
        "noise_of_the_sharp_picture_in_255ths": _spread([one for _, one in noise]),
        "radius_px_at_1680": _quantiles(disc[:, 0] / np.array(scales)),
        "variance_left_by_the_best_blur": {name: _left(np.concatenate(parts)) for name, parts in fits.items()},
    }


def noise_level(picture: np.ndarray) -> float:
    """Noise of the quietest tenth of 16 px cells, in 255ths: what a picture of noise alone has as its deviation.

    The filter is blind to slopes (Immerkaer, CVIU 1996); the quietest cells are those without detail.
    """
    grey = picture.mean(axis=2)
    size = grey.shape[0] - 2
    high = sum(
        _NOISE_FILTER[row, column] * grey[row : row + size, column : column + size]
        for row in range(3)
        for column in range(3)
    )
    cells = np.asarray(high)[: size // 16 * 16, : size // 16 * 16].reshape(size // 16, 16, size // 16, 16)
    return float(np.quantile(np.sqrt((cells**2).mean(axis=(1, 3))), 0.1)) * 255.0


def band_powers(picture: np.ndarray) -> np.ndarray:
    """Mean power in each of `BANDS`."""
    frequency, power = _power(picture)
    return np.array([power[(frequency >= low) & (frequency < high)].mean() for low, high in BANDS.values()])


def slope(picture: np.ndarray) -> float:
    """Of the logarithm of the power over that of the frequency, from 0.03 to 0.45 cycles per px."""
    frequency, power = _power(picture)
    edges = np.geomspace(0.03, 0.45, 13)
    means = [power[(frequency >= low) & (frequency < high)].mean() for low, high in pairwise(edges)]
    return float(np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(np.array(means) + 1e-12), 1)[0])


def best_blur(source: np.ndarray, target: np.ndarray, profile: str, in_light: bool) -> np.ndarray:
    """The radius that best turns the sharp tile into the blurred one, by windows with texture; gain and offset free.

    Returns:
        float (windows, 3): radius in px, variance that the fit leaves, variance of the blurred window.
    """
    blurred, sharp = (_grey(picture, in_light) for picture in (source, target))
    spectrum = np.fft.rfft2(np.pad(sharp, PAD_PX, mode="reflect"))
    wanted = _windows(blurred)
    left = np.stack([_unexplained(_windows(_blur(spectrum, r, profile)), wanted) for r in RADII_PX])
    best = left.argmin(axis=0)
    textured = _windows(target.mean(axis=2)).std(axis=(2, 3)) >= LEAST_TEXTURE
    columns = (np.array(RADII_PX)[best], left.min(axis=0), wanted.var(axis=(2, 3)) + 1e-9)
    return np.stack([column[textured] for column in columns], axis=1)


def _unexplained(windows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Variance of `wanted` that a gain and an offset of `windows` do not explain."""
    centred, goal = (one - one.mean(axis=(2, 3), keepdims=True) for one in (windows, wanted))
    along = (centred * goal).mean(axis=(2, 3)) ** 2 / ((centred**2).mean(axis=(2, 3)) + 1e-12)
    return (goal**2).mean(axis=(2, 3)) - along


def _blur(spectrum: np.ndarray, radius_px: float, profile: str) -> np.ndarray:
    blurred = np.fft.irfft2(spectrum * _transfer(float(radius_px), profile), s=(PADDED_PX, PADDED_PX))
    return blurred[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]


@cache
def _transfer(radius_px: float, profile: str) -> np.ndarray:
    """Spectrum of a blur; the centre view's, since the views are equal where kappa is 0."""
    kernel = kernels(Lens(kappa=0.0, profile=profile), radius_px)[0].numpy()
    plane = np.zeros((PADDED_PX, PADDED_PX))
    side = kernel.shape[0]
    plane[:side, :side] = kernel
    return np.fft.rfft2(np.roll(plane, (-(side // 2), -(side // 2)), axis=(0, 1)))


def _windows(picture: np.ndarray) -> np.ndarray:
    """(n, n, 48, 48) from the middle of a tile."""
    inner = picture[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    count = inner.shape[0] // WINDOW_PX
    return inner.reshape(count, WINDOW_PX, count, WINDOW_PX).swapaxes(1, 2)


def _grey(picture: np.ndarray, in_light: bool) -> np.ndarray:
    if in_light:
        picture = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    return picture.mean(axis=2).astype(np.float64)


def _power(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grey = picture.mean(axis=2)
    window = np.hanning(TILE_PX)[:, None] * np.hanning(TILE_PX)[None]
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(TILE_PX)[:, None], np.fft.fftfreq(TILE_PX)[None])
    return frequency, power


def _named(levels: np.ndarray) -> dict[str, float]:
    return {name: round(float(level), 2) for name, level in zip(BANDS, levels, strict=True)}


def _spread(values: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    numbers = {"mean": np.mean(values), "10%": low, "50%": middle, "90%": high}
    return {name: round(float(value), 3) for name, value in numbers.items()}


def _quantiles(values: np.ndarray) -> dict[str, float]:
    found = np.quantile(values, QUANTILES)
    return {f"{100 * share:.0f}%": round(float(value), 4) for share, value in zip(QUANTILES, found, strict=True)}


def _left(windows: np.ndarray) -> dict[str, float]:
    """The share of all variance that is left, and quantiles of the share over windows."""
    whole = float(windows[:, 1].sum() / windows[:, 2].sum())
    return {"of_all": round(whole, 4), **_quantiles(windows[:, 1] / windows[:, 2])}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--real", type=Path, required=True, help="folder with source/ and target/ of real pairs")
    parser.add_argument("--leave-out", type=Path, default=None, help="text file naming photos that are not used")
    parser.add_argument("--samples", type=int, default=240)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/simulator_calibration.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
