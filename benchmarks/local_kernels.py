"""Which property of a real photo's local blur keeps the network from removing it?

    python benchmarks/local_kernels.py PAIRS [PAIRS ...] [--photos NAME ...] [-o results/local_kernels.json]

The sharp photo is laid onto the defocused one and blurred by discs, as in carry_over.py. In windows of 96 px the linear
filter (13 x 13 taps, linear light) is fitted that makes what is left of the real photo from the sharp one: disc and
filter together are what lens, shift and motion can do there, without grain. A penalty keeps the filter zero where the
sharp photo does not tell it. Then the filter is taken apart, and the network is shown discs with one part, or with all
but one. Each is scored by how many dB of its own blur go. The control has instead of the real photo blur by discs and
what they do not explain of the real one, turned by half a turn, so that it has nothing to do with the sharp photo: what
is fitted to it is chance. "held_out" is the error, as a share of that of discs, where only every other block of 16 px
was fitted: below 1 where the filter is real.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import map_coordinates

from allfocus.atomic_file import write_json
from allfocus.data.registry import load
from allfocus.deblurrer import Deblurrer
from allfocus.photo.color import linear_to_srgb, srgb_to_linear
from carry_over import BORDER_PX, Matched, Picture, matched

Taps = NDArray[np.float64]
WINDOW_PX, STEP_PX, REACH_PX, BLOCK_PX = 96, 48, 6, 16
TAPS = 2 * REACH_PX + 1
PENALTY = 3.0
"""On squared taps: noise of 3 levels in 255, alike over some five values, against taps of deviation .015."""
AXIS = np.arange(-REACH_PX, REACH_PX + 1)
DISTANCE: Taps = np.hypot(AXIS[:, None], AXIS[None])
_WINDOW_1D = np.hanning(WINDOW_PX + 2)[1:-1]
WINDOW = (_WINDOW_1D[:, None] * _WINDOW_1D)[..., None].astype(np.float32)


@dataclass(frozen=True)
class Kernels:
    """A filter for each window: level + taps * (light - mean).

    Attributes:
        rows, columns: where windows begin, px.
        taps: (rows, columns, 13, 13), to be convolved with.
        radius_px: (rows, columns): of the disc that it is added to.
        mean, level: (rows, columns, 3): of the sharp photo and of what is made of it, linear light.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    taps: Taps
    radius_px: Taps
    mean: Taps
    level: Taps


def fit(pair: Matched, wanted: Picture, counted: NDArray[np.bool_] | None = None) -> Kernels:
    """What each window's filter adds to the disc, for all colours alike.

    Args:
        pair: whose sharp photo is filtered, and to whose blur by discs the result is added.
        wanted: (H, W, 3), display values; what the sum should be.
        counted: (H, W), which pixels are fitted; all when None.
    """
    light, seen_as = srgb_to_linear(pair.sharp), srgb_to_linear(wanted.clip(0, 1)).astype(np.float32)
    rest = seen_as - srgb_to_linear(pair.reblurred)
    rows, columns = (_starts(side) for side in light.shape[:2])
    taps, radius_px = np.zeros((len(rows), len(columns), TAPS, TAPS)), np.zeros((len(rows), len(columns)))
    mean, level = np.zeros((2, len(rows), len(columns), 3))
    padded, slope = _padded(light), _slope(seen_as) * (1 if counted is None else counted[..., None])
    for (i, y), (j, x) in itertools.product(enumerate(rows), enumerate(columns)):
        place = np.s_[y : y + WINDOW_PX, x : x + WINDOW_PX]
        weights = WINDOW * slope[place]
        mean[i, j] = np.average(light[place], axis=(0, 1), weights=weights)
        level[i, j] = np.average(rest[place], axis=(0, 1), weights=weights)
        radius_px[i, j] = np.average(pair.radius_px[place], weights=WINDOW[..., 0])
        seen = padded[y : y + WINDOW_PX + 2 * REACH_PX, x : x + WINDOW_PX + 2 * REACH_PX] - mean[i, j]
        terms = np.lib.stride_tricks.sliding_window_view(seen.astype(np.float32), (TAPS, TAPS), axis=(0, 1))
        some = np.s_[::2]  # every other value is plenty for 169 unknowns
        terms = terms.reshape(-1, TAPS * TAPS)[some]
        weighted = terms * weights.reshape(-1, 1)[some].astype(np.float32)
        products = (weighted.T @ terms).astype(np.float64)
        products[np.diag_indices(TAPS * TAPS)] += PENALTY
        answer = (rest[place] - level[i, j]).reshape(-1)[some].astype(np.float32)
        found = np.linalg.solve(products, (weighted.T @ answer).astype(np.float64))
        taps[i, j] = found.reshape(TAPS, TAPS)[::-1, ::-1]
    return Kernels(rows, columns, taps, radius_px, mean, level)


def added(pair: Matched, kernels: Kernels) -> Picture:
    """Blur by discs and the filters, windows blended: (H, W, 3) of display values."""
    light = srgb_to_linear(pair.sharp).astype(np.float32)
    padded, side = _padded(light), WINDOW_PX + 2 * REACH_PX
    total, weight = np.zeros_like(light), np.zeros((*light.shape[:2], 1), np.float32)
    for (i, y), (j, x) in itertools.product(enumerate(kernels.rows), enumerate(kernels.columns)):
        seen = padded[y : y + side, x : x + side] - kernels.mean[i, j]
        spectrum = rfft2(seen, axes=(0, 1)) * rfft2(kernels.taps[i, j], s=(side, side))[..., None]
        made = irfft2(spectrum, s=(side, side), axes=(0, 1))[2 * REACH_PX :, 2 * REACH_PX :] + kernels.level[i, j]
        place = np.s_[y : y + WINDOW_PX, x : x + WINDOW_PX]
        total[place] += made * WINDOW
        weight[place] += WINDOW
    return linear_to_srgb((srgb_to_linear(pair.reblurred) + total / weight).clip(0, 1)).astype(np.float32)


def one_sided(taps: Taps) -> Taps:
    """What changes its sign when the filter is turned by half a turn: shift, coma, motion that speeds up."""
    return (taps - taps[::-1, ::-1]) / 2


def round_(taps: Taps) -> Taps:
    """The mean in every direction: another profile than a disc's."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    down = DISTANCE[..., None] * np.sin(angles) + REACH_PX
    across = DISTANCE[..., None] * np.cos(angles) + REACH_PX
    return map_coordinates(taps, [down, across], order=1, mode="constant").mean(axis=-1)


def two_sided(taps: Taps) -> Taps:
    """The rest: longer in one direction than in another, as with astigmatism, a clipped pupil, even motion."""
    return taps - one_sided(taps) - round_(taps)


def shift(taps: Taps, radius_px: float) -> Taps:
    """What of a filter a small shift of the disc would explain."""
    slopes = np.array(np.gradient(disc(radius_px))).reshape(2, -1).T
    return (slopes @ np.linalg.lstsq(slopes, taps.ravel(), rcond=None)[0]).reshape(taps.shape)


def disc(radius_px: float) -> Taps:
    """A disc as carry_over.py draws it, one pixel wide at least."""
    taps = np.asarray((radius_px + 0.5 - DISTANCE).clip(0, 1))
    return taps / taps.sum()


def variants(kernels: Kernels) -> dict[str, Kernels]:
    """The parts of the filters."""

    def only(part: Callable[[Taps, float], Taps]) -> Kernels:
        pairs = zip(kernels.taps.reshape(-1, TAPS, TAPS), kernels.radius_px.ravel(), strict=True)
        taps = np.array([part(*one) for one in pairs]).reshape(kernels.taps.shape)
        return replace(kernels, taps=taps, level=np.zeros_like(kernels.level))

    return {
        "disc and whole filter": kernels,
        "disc and light of each place": replace(kernels, taps=np.zeros_like(kernels.taps)),
        "disc and round part": only(lambda taps, _: round_(taps)),
        "disc and two-sided part": only(lambda taps, _: two_sided(taps)),
        "disc and one-sided part": only(lambda taps, _: one_sided(taps)),
        "disc and shift": only(shift),
        "disc and one-sided part without shift": only(lambda taps, radius: one_sided(taps) - shift(taps, radius)),
        "all but the round part": only(lambda taps, _: taps - round_(taps)),
        "all but the two-sided part": only(lambda taps, _: taps - two_sided(taps)),
        "all but the one-sided part": only(lambda taps, _: taps - one_sided(taps)),
        "all but the shift": only(lambda taps, radius: taps - shift(taps, radius)),
    }


def removed(sharp: Picture, blurred: Picture, change: Picture) -> float:
    """By how many dB a change brings a blurred picture nearer to the sharp one."""
    inside = (slice(BORDER_PX, -BORDER_PX),) * 2
    before = (sharp - blurred)[inside]
    return float(10 * np.log10(np.square(before).mean() / np.square(before - change[inside]).mean()))


def measured(pair: Matched, network: Callable[[Picture], Picture]) -> dict[str, object]:
    """One photo: what is removed of each variant, for the real photo and for the control, and the held-out errors."""
    difference = pair.real - pair.reblurred
    wanted = {"real": pair.real, "control": pair.reblurred + difference[::-1, ::-1]}
    even = np.add.outer(*(np.arange(side) // BLOCK_PX for side in difference.shape[:2])) % 2 == 0
    found: dict[str, object] = {
        "removed_db": {
            "real photo": removed(pair.sharp, pair.reblurred, network(pair.real) - pair.real),
            "disc": removed(pair.sharp, pair.reblurred, network(pair.reblurred) - pair.reblurred),
        }
    }
    for name, picture in wanted.items():
        shown = {variant: added(pair, one) for variant, one in variants(fit(pair, picture)).items()}
        scores = {variant: removed(pair.sharp, one, network(one) - one) for variant, one in shown.items()}
        halves = {variant: added(pair, one) for variant, one in variants(fit(pair, picture, even)).items()}
        error = np.square(pair.reblurred - picture)[~even].sum()
        found[name] = {
            "removed_db": scores,
            "held_out": {key: float(np.square(one - picture)[~even].sum() / error) for key, one in halves.items()},
        }
    return found


def _slope(light: Picture) -> Picture:
    """The square of how fast display values rise with light, so that errors count as they are seen."""
    return np.square(np.minimum(1.055 / 2.4 * np.maximum(light, 1e-4) ** (1 / 2.4 - 1), 12.92)).astype(np.float32)


def _padded(light: Picture) -> Picture:
    return np.pad(light, [(REACH_PX, REACH_PX), (REACH_PX, REACH_PX), (0, 0)], "reflect")


def _starts(side: int) -> tuple[int, ...]:
    """Where windows begin along a side; the last one ends with it."""
    return tuple(sorted({*range(0, side - WINDOW_PX, STEP_PX), side - WINDOW_PX}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--photos", nargs="+", help="Names of photos; all when left out.")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/local_kernels.json"))
    args = parser.parse_args()
    deblurrer = Deblurrer(args.model)

    def network(picture: Picture) -> Picture:
        return np.asarray(deblurrer.run(picture).output, dtype=np.float32)

    sets: dict[str, dict[str, object]] = {folder.name: {} for folder in args.pairs}
    for folder in args.pairs:
        pairs = load("pairs", folder, "test")
        for one in pairs:
            if one.target is not None and (args.photos is None or Path(one.name).stem in args.photos):
                pair = matched(pairs.read(one.source), pairs.read(one.target))
                sets[folder.name][Path(one.name).stem] = found = measured(pair, network)
                print(one.name, found, flush=True)
    card = deblurrer.model.card
    write_json(args.output, {"model": card.name, "sha256": card.sha256, "sets": sets})


if __name__ == "__main__":
    main()
