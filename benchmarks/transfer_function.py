"""What of a scene passes a real lens, by blur radius and frequency, and what lies on real blur besides?

    python benchmarks/transfer_function.py PAIRS [PAIRS ...] [-o results/transfer_function.json]

In windows of each pair the sharp photo is shifted onto the defocused one (from the phases of coarse detail), and the
disc or Gaussian that explains the window best is fitted in linear light. By radius and band of frequencies: what of
the sharp photo's amplitude arrives with its phase (coherent), what arrives in all (total), and what the fitted disc
would pass. Where "total" exceeds "coherent", something lies on the blur that does not come from the sharp photo.
`data.augment` imitates it by grain; "amplitude" is that of the most blurred windows, in display values.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import j1

from allfocus.data.registry import load
from allfocus.photo.color import srgb_to_linear

Plane = NDArray[np.floating]
WINDOW_PX, STEP_PX = 96, 48
RADII_PX = np.arange(0, 12.1, 0.25)
GROUPS_PX = (0, 1, 2, 3, 4.5, 6.5, 9)
BANDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
LEAST_CONTRAST, LARGEST_SHIFT_PX, LARGEST_ERROR = 0.15, 2.0, 0.25
BLURRED_BELOW = 0.45
"""A window counts as very blurred where less than this of the amplitude at 0.1 to 0.15 cycles per px is left."""

_down, _across = np.fft.fftfreq(WINDOW_PX)[:, None], np.fft.rfftfreq(WINDOW_PX)[None]
FREQUENCY = np.hypot(_down, _across)
WINDOW = np.hanning(WINDOW_PX)[:, None] * np.hanning(WINDOW_PX)[None]
INSIDE = [(low <= FREQUENCY) & (high > FREQUENCY) for low, high in pairwise(BANDS)]


def disc(radius_px: float) -> Plane:
    """Transfer function of a disc (Airy's, of geometrical optics)."""
    argument = np.maximum(2 * np.pi * FREQUENCY * radius_px, 1e-6)
    return 2 * j1(argument) / argument


def gaussian(radius_px: float) -> Plane:
    """That of a Gaussian with the second moment of the disc."""
    return np.exp(-2 * np.square(np.pi * FREQUENCY * radius_px / 2))


FAMILY = [(radius, kernel(radius)) for kernel in (disc, gaussian) for radius in RADII_PX]


def windows(real: Plane, sharp: Plane) -> list[dict[str, Any]]:
    """One row a window of a pair (H, W) in linear light."""
    rows = []
    height, width = real.shape
    for y in range(0, height - WINDOW_PX, STEP_PX):
        for x in range(0, width - WINDOW_PX, STEP_PX):
            place = np.s_[y : y + WINDOW_PX, x : x + WINDOW_PX]
            if sharp[place].std() < LEAST_CONTRAST * sharp[place].mean():
                continue
            row = _window(*(np.fft.rfft2((one[place] - one[place].mean()) * WINDOW) for one in (real, sharp)))
            if row is not None:
                rows.append(row)
    return rows


def _window(real: NDArray[np.complexfloating], sharp: NDArray[np.complexfloating]) -> dict[str, Any] | None:
    cross = real * np.conj(sharp)
    coarse = (FREQUENCY > 0.01) & (FREQUENCY < 0.08)
    slopes = 2 * np.pi * np.stack([np.broadcast_to(one, FREQUENCY.shape)[coarse] for one in (_down, _across)], axis=1)
    weight = np.abs(cross[coarse])
    shift = np.linalg.lstsq(slopes * np.sqrt(weight)[:, None], np.angle(cross[coarse]) * np.sqrt(weight), rcond=None)[0]
    if np.hypot(*shift) > LARGEST_SHIFT_PX:
        return None
    sharp = sharp * np.exp(2j * np.pi * (_down * shift[0] + _across * shift[1]))
    whole = np.square(np.abs(real)).sum()
    best = (np.inf, 0.0, 1.0)
    for radius, kernel in FAMILY:
        made = sharp * kernel
        gain = (real * np.conj(made)).real.sum() / np.square(np.abs(made)).sum()
        error = np.square(np.abs(real - gain * made)).sum() / whole
        best = min(best, (float(error), float(radius), float(gain)))
    error, radius, gain = best
    if error > LARGEST_ERROR:
        return None
    power = [np.square(np.abs(sharp[band])).sum() for band in INSIDE]
    fitted = disc(radius)
    return {
        "radius_px": radius,
        "coherent": [
            (real[band] * np.conj(sharp[band])).real.sum() / gain / one for band, one in zip(INSIDE, power, strict=True)
        ],
        "total": [
            np.sqrt(np.square(np.abs(real[band])).sum() / one) / gain for band, one in zip(INSIDE, power, strict=True)
        ],
        "disc": [
            (fitted[band] * np.square(np.abs(sharp[band]))).sum() / one for band, one in zip(INSIDE, power, strict=True)
        ],
    }


def amplitudes(real: NDArray[np.float32], sharp: NDArray[np.float32]) -> list[list[float]]:
    """Of very blurred windows: deviation per px of light in display values, by band."""
    found = []
    norm = np.square(WINDOW).sum()
    for y in range(0, real.shape[0] - WINDOW_PX, STEP_PX):
        for x in range(0, real.shape[1] - WINDOW_PX, STEP_PX):
            place = np.s_[y : y + WINDOW_PX, x : x + WINDOW_PX]
            powers = []
            for picture in (real, sharp):
                plane = picture[place].mean(axis=2)
                spectrum = np.square(np.abs(np.fft.rfft2((plane - plane.mean()) * WINDOW))) / norm
                powers.append([float(spectrum[band].mean()) for band in INSIDE])
            if powers[0][2] < BLURRED_BELOW**2 * powers[1][2]:
                found.append(powers[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/transfer_function.json"))
    args = parser.parse_args()
    found: dict[str, Any] = {"bands_cycles_per_px": list(pairwise(BANDS)), "sets": {}}
    for folder in args.pairs:
        pairs = load("pairs", folder, "test")
        rows, grain = [], []
        for one in pairs:
            if one.target is None:
                continue
            real, sharp = pairs.read(one.source), pairs.read(one.target)
            rows += windows(srgb_to_linear(real).mean(axis=2), srgb_to_linear(sharp).mean(axis=2))
            grain += amplitudes(real, sharp)
        groups = {}
        for low, high in pairwise(GROUPS_PX):
            own = [row for row in rows if low <= row["radius_px"] < high]
            if own:
                groups[f"{low:g}-{high:g} px"] = {
                    "windows": len(own),
                    **{
                        name: np.median([row[name] for row in own], axis=0).round(3).tolist()
                        for name in ("coherent", "total", "disc")
                    },
                }
        found["sets"][folder.name] = {
            "by_radius": groups,
            "very_blurred_windows": len(grain),
            "amplitude": np.sqrt(np.median(grain, axis=0)).round(5).tolist(),
        }
        print(folder.name, json.dumps(found["sets"][folder.name]), flush=True)
    args.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
