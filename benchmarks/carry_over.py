"""What do real photos have that keeps the network from removing their blur? Real pairs against re-blurred ones.

    python benchmarks/carry_over.py PAIRS [PAIRS ...] [--model ifan-fast] [--most N] [-o results/carry_over.json]

For each pair the sharp photo is laid onto the defocused one (affine) and given its light (a gain that varies slowly),
the radius of the disc that explains the real blur best is fitted at each place, and the sharp photo is blurred with
that map of radii in linear light. The network then sees the real photo, the re-blurred one, and the re-blurred one
with one property of the real photo, or of cameras, added. What counts is the change that it makes, laid onto the
re-blurred photo: "removed" is by how many dB the squared difference between the sharp and the re-blurred photo falls.
So noise that the network leaves in the photo costs nothing by itself, and all variants are scored on the same blur.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyvips
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, shift

from allfocus.data.registry import load
from allfocus.deblurrer import Deblurrer
from allfocus.metrics.registration import register, warped
from allfocus.photo.color import linear_to_srgb, srgb_to_linear

Picture = NDArray[np.float32]
RADII_PX = np.concatenate([np.arange(0, 4, 0.5), np.arange(4, 15, 1.0)])
PLACE_SIGMA_PX, MAP_SIGMA_PX, LIGHT_SIGMA_PX, FINE_SIGMA_PX = 10.0, 6.0, 32.0, 4.0
WINDOW_PX, CLIPPED, BORDER_PX = 64, 0.02, 16
BANDS = ((0.05, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.5))
PLACES = ("real", "re-blurred")


class Matched(NamedTuple):
    """A pair made comparable; (H, W, 3) in [0, 1].

    Attributes:
        real: the defocused photo.
        sharp: the sharp one in its place and light.
        reblurred: that one, blurred by the fitted radii.
        radius_px: (H, W).
    """

    real: Picture
    sharp: Picture
    reblurred: Picture
    radius_px: NDArray[np.float64]


def matched(real: Picture, target: Picture) -> Matched:
    """Lay the target onto the photo, give it its light, and blur it as the photo is blurred."""
    first = target
    for _ in range(2):  # the light is matched to what is already blurred alike
        radius_px, reblurred = fitted(real, first)
        warp = register(reblurred.mean(axis=2), real.mean(axis=2), "affine", finest=0)
        placed = warped(first, warp).clip(0, 1).astype(np.float32)
        radius_px, reblurred = fitted(real, placed)
        gain = _smooth(real, LIGHT_SIGMA_PX) / np.maximum(_smooth(reblurred, LIGHT_SIGMA_PX), 0.02)
        first = (placed * gain).clip(0, 1).astype(np.float32)
    radius_px, reblurred = fitted(real, first)
    return Matched(real, first, reblurred, radius_px)


def fitted(real: Picture, sharp: Picture) -> tuple[NDArray[np.float64], Picture]:
    """The radius of the disc that explains each place best, and the sharp picture blurred by it in linear light."""
    light = srgb_to_linear(sharp)
    levels = [blurred(light, radius) for radius in RADII_PX]
    errors = [gaussian_filter(np.square(one.mean(axis=2) - real.mean(axis=2)), PLACE_SIGMA_PX) for one in levels]
    place = gaussian_filter(np.argmin(errors, axis=0).astype(np.float64), MAP_SIGMA_PX)
    below = np.floor(place).astype(int).clip(0, len(levels) - 2)
    share = (place - below)[..., None]
    stack = np.stack(levels)
    rows, columns = np.indices(place.shape)
    mixed = (1 - share) * stack[below, rows, columns] + share * stack[below + 1, rows, columns]
    radius_px = RADII_PX[below] + share[..., 0] * (RADII_PX[below + 1] - RADII_PX[below])
    return radius_px, mixed.astype(np.float32)


def blurred(light: Picture, radius_px: float) -> Picture:
    """Display values of linear light through a disc."""
    reach = int(np.ceil(radius_px)) + 1
    padded = np.pad(light, [(reach, reach), (reach, reach), (0, 0)], "edge")
    height, width = padded.shape[:2]
    axis = (np.minimum(np.arange(side), side - np.arange(side)) for side in (height, width))
    distance = np.hypot(*np.meshgrid(*axis, indexing="ij"))
    disc = np.clip(radius_px + 0.5 - distance, 0, 1)
    spectrum = rfft2(padded, axes=(0, 1)) * rfft2(disc / disc.sum())[..., None]
    through = irfft2(spectrum, s=(height, width), axes=(0, 1))[reach:-reach, reach:-reach]
    return linear_to_srgb(through.clip(0, 1)).astype(np.float32)


def variants(pair: Matched, rng: np.random.Generator) -> dict[str, Picture]:
    """What the network is shown."""
    base, difference = pair.reblurred, pair.real - pair.reblurred
    coarse = _smooth(difference, FINE_SIGMA_PX)
    fine = difference - coarse
    shown: dict[str, Picture] = {
        "real": pair.real,
        "re-blurred": base,
        "+ noise, deviation .003": base + rng.normal(0, 0.003, base.shape),
        "+ grain with the spectrum of real photos": base + grain(base.shape, rng),
        "+ three times that grain": base + 3 * grain(base.shape, rng),
        "+ JPEG, quality 90": jpeg(base, 90),
        "+ sharpened": base + 0.5 * (base - _smooth(base, 1.0)),
        "+ softened by 0.8 px": _smooth(base, 0.8),
        "+ shifted by half a pixel": shift(base, (0.5, 0.5, 0), order=3, mode="nearest"),
        "+ 5 % of the sharp light": with_core(pair, 0.05),
        "+ 15 % of the sharp light": with_core(pair, 0.15),
        "+ radius 10 % larger": stretched(pair, 1.1),
        "+ coarse difference of the real photo": base + coarse,
        "+ fine difference of the real photo": base + fine,
        "+ half of it": base + fine / 2,
        "+ it, clipped to .02": base + fine.clip(-CLIPPED, CLIPPED),
        "+ it, with random phases": base + scrambled(fine, rng),
        "+ it, from another place": base + np.roll(fine, (37, 53), axis=(0, 1)),
    }
    return {name: one.clip(0, 1).astype(np.float32) for name, one in shown.items()}


def removed(pair: Matched, shown: Picture, answer: Picture) -> float:
    """By how many dB the change brings the re-blurred photo nearer to the sharp one."""
    inside = (slice(BORDER_PX, -BORDER_PX),) * 2
    before = pair.sharp - pair.reblurred
    after = before - (answer - shown)
    return float(10 * np.log10(np.square(before[inside]).mean() / np.square(after[inside]).mean()))


def with_core(pair: Matched, share: float) -> Picture:
    """A share of the light was not blurred."""
    light = (1 - share) * srgb_to_linear(pair.reblurred) + share * srgb_to_linear(pair.sharp)
    return linear_to_srgb(light).astype(np.float32)


def stretched(pair: Matched, factor: float) -> Picture:
    """Blurred a little more than the photo, which scores as an error of the fit would."""
    light = srgb_to_linear(pair.sharp)
    levels = np.stack([blurred(light, radius) for radius in RADII_PX])
    place = np.interp(pair.radius_px * factor, RADII_PX, np.arange(len(RADII_PX)))
    below = np.floor(place).astype(int).clip(0, len(RADII_PX) - 2)
    rows, columns = np.indices(place.shape)
    share = (place - below)[..., None]
    return (1 - share) * levels[below, rows, columns] + share * levels[below + 1, rows, columns]


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> Picture:
    """Noise of the spectrum that `data.augment` states, at the strength of the median of real-val."""
    from allfocus.data.augment import coloured_grain

    return 0.0037 * coloured_grain(shape[:2], rng)[0].permute(1, 2, 0).numpy()


def scrambled(picture: Picture, rng: np.random.Generator) -> Picture:
    """Random phases, window by window, so that the spectrum of each place stays."""
    height, width = (side // WINDOW_PX * WINDOW_PX for side in picture.shape[:2])
    result = picture.copy()
    for y in range(0, height, WINDOW_PX):
        for x in range(0, width, WINDOW_PX):
            place = np.s_[y : y + WINDOW_PX, x : x + WINDOW_PX]
            phases = rfft2(rng.standard_normal((WINDOW_PX, WINDOW_PX)))
            turned = rfft2(picture[place], axes=(0, 1)) * (phases / np.abs(phases))[..., None]
            result[place] = irfft2(turned, s=(WINDOW_PX, WINDOW_PX), axes=(0, 1))
    return result


def jpeg(picture: Picture, quality: int) -> Picture:
    """Coded and decoded."""
    data = pyvips.Image.new_from_array((picture.clip(0, 1) * 255).round().astype(np.uint8)).jpegsave_buffer(Q=quality)
    return pyvips.Image.new_from_buffer(data, "").numpy().astype(np.float32) / 255


def spectra(pair: Matched) -> dict[str, list[float]]:
    """Power of the real over the re-blurred photo in dB, and their coherence, band by band."""
    real, made = (rfft2(_windowed(one.mean(axis=2))) for one in (pair.real, pair.reblurred))
    down, across = np.fft.fftfreq(pair.real.shape[0])[:, None], np.fft.rfftfreq(pair.real.shape[1])[None]
    frequency = np.hypot(down, across)
    power, coherence = [], []
    for low, high in BANDS:
        band = (frequency >= low) & (frequency < high)
        of_real, of_made = (float(np.square(np.abs(one[band])).sum()) for one in (real, made))
        cross = abs(np.sum(real[band] * np.conj(made[band])))
        power.append(10 * np.log10(of_real / of_made))
        coherence.append(float(cross / np.sqrt(of_real * of_made)))
    return {"power_db": power, "coherence": coherence}


def _windowed(plane: NDArray[np.floating]) -> NDArray[np.floating]:
    window = np.hanning(plane.shape[0])[:, None] * np.hanning(plane.shape[1])[None]
    return (plane - plane.mean()) * window


def _smooth(picture: Picture, sigma_px: float) -> Picture:
    return gaussian_filter(picture, (sigma_px, sigma_px, 0), mode="nearest")


def measured(folder: Path, network: Callable[[Picture], Picture], most: int | None) -> dict[str, object]:
    """One set: medians and means over its photos, and every row."""
    pairs = load("pairs", folder, "test")
    rows = []
    for number, one in enumerate(pairs):
        if one.target is None or (most is not None and number >= most):
            continue
        pair = matched(pairs.read(one.source), pairs.read(one.target))
        shown = variants(pair, np.random.default_rng(number))
        dB = {name: removed(pair, seen, network(seen)) for name, seen in shown.items()}
        rows.append(
            {"name": one.name, "radius_px": float(np.median(pair.radius_px)), "removed_db": dB, **spectra(pair)}
        )
        print(one.name, {name: round(value, 2) for name, value in list(dB.items())[:4]}, flush=True)
    names = rows[0]["removed_db"]
    return {
        "photos": len(rows),
        "removed_db": {name: round(float(np.mean([row["removed_db"][name] for row in rows])), 3) for name in names},
        "power_db": np.mean([row["power_db"] for row in rows], axis=0).round(3).tolist(),
        "coherence": np.mean([row["coherence"] for row in rows], axis=0).round(3).tolist(),
        "bands_cycles_per_px": BANDS,
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--most", type=int, help="Only so many photos of each set.")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/carry_over.json"))
    args = parser.parse_args()
    deblurrer = Deblurrer(args.model)

    def network(picture: Picture) -> Picture:
        return np.asarray(deblurrer.run(picture).output, dtype=np.float32)

    found = {folder.name: measured(folder, network, args.most) for folder in args.pairs}
    card = deblurrer.model.card
    args.output.write_text(json.dumps({"model": card.name, "sha256": card.sha256, "sets": found}, indent=1) + "\n")
    for name, one in found.items():
        print(name, json.dumps(one["removed_db"], indent=1))


if __name__ == "__main__":
    main()
