"""How much of a blur's loss could be had back without guessing? A filter that was fitted on the answer, by blur radius.

    python benchmarks/fitted_filter.py --syndp DIR [--every 1] [-o results/fitted_filter.json]

For every scene of SynDP, channel and range of true radii, the weights of concentric rings are fitted so that the photo
comes as near as possible to its sharp picture there. No other weighting of these rings, the same over that range, does
better; finer rings would a little, and a network can, where it guesses what was lost. So a gain that falls from one
range of radii to the next may be the scenes' doing, not the method's.
"""

from __future__ import annotations

import argparse
import math
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from allfocus.atomic_file import write_json
from allfocus.data.pairs import read_coc
from allfocus.data.syndp import STRATA, load
from allfocus.evaluate.radius import EDGES_PX

REACH_PX = 30
RINGS_PX = (*(0.0, 0.5, 1.2, 1.8, 2.5), *np.arange(3.5, 13.0), *np.arange(14.0, REACH_PX + 1, 2.0))
LEAST_PIXELS = 500


def squared_errors(
    photo: NDArray[np.float32], sharp: NDArray[np.float32], regions: list[NDArray[np.bool_]]
) -> list[tuple[float, float]]:
    """Summed squared errors of the photo, and of the photo through the filter fitted there, for every region.

    Args:
        photo, sharp: (H, W, 3) in [0, 1].
        regions: (H, W) each.
    """
    height, width = photo.shape[:2]
    padding = [(REACH_PX, REACH_PX), (REACH_PX, REACH_PX), (0, 0)]
    spectrum = rfft2(np.pad(photo.astype(np.float64), padding, "reflect"), axes=(0, 1))
    shape = height + 2 * REACH_PX, width + 2 * REACH_PX
    inside = slice(REACH_PX, -REACH_PX)
    found = [[0.0, 0.0] for _ in regions]
    for channel in range(3):
        layers = [irfft2(spectrum[..., channel] * ring, s=shape)[inside, inside] for ring in _rings(*shape)]
        seen = np.stack([*layers, np.ones((height, width))], axis=-1)  # (H, W, rings + 1)
        for errors, region in zip(found, regions, strict=True):
            terms, wanted = seen[region], sharp[region][:, channel].astype(np.float64)
            products = terms.T @ terms
            products[np.diag_indices(len(products))] += 1e-9 * products.trace()
            weights = np.linalg.solve(products, terms.T @ wanted)
            errors[0] += float(np.square(photo[region][:, channel] - wanted).sum())
            errors[1] += float(np.square(terms @ weights - wanted).sum())
    return [(before, after) for before, after in found]


@lru_cache(maxsize=2)
def _rings(height: int, width: int) -> list[NDArray[np.complex128]]:
    """Spectra of the rings, each of sum 1, around the origin of a periodic picture."""
    down, across = (np.minimum(np.arange(side), side - np.arange(side)) for side in (height, width))
    distance = np.hypot(down[:, None], across[None])
    rings = [(distance == 0).astype(float)]
    rings += [((distance > near) & (distance <= far)).astype(float) for near, far in pairwise(RINGS_PX[1:])]
    return [rfft2(ring / ring.sum()) for ring in rings if ring.any()]


def _gain(before: float, after: float) -> float:
    return round(10 * math.log10(before / after), 3)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--syndp", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/fitted_filter.json"))
    arguments = parser.parse_args()
    ranges = list(pairwise(EDGES_PX))
    pooled = np.zeros((len(ranges), 3))  # pixels, squared errors before and after
    strata: dict[str, list[float]] = {name: [] for name in STRATA}
    scenes = load(arguments.syndp).every(arguments.every)
    for pair in scenes:
        assert pair.coc is not None and pair.target is not None
        photo, sharp = scenes.read(pair.source), scenes.read(pair.target)
        radius_px = np.abs(read_coc(pair.coc, *photo.shape[:2]))
        regions = {
            number: region
            for number, (low, high) in enumerate(ranges)
            if (region := (radius_px >= low) & (radius_px < high)).sum() >= LEAST_PIXELS
        }
        errors = squared_errors(photo, sharp, list(regions.values()))
        for (number, region), pair_of in zip(regions.items(), errors, strict=True):
            pooled[number] += (region.sum(), *pair_of)
        if pair.name[:2] in strata and pair.name[:2] != "S0":
            before, after = np.sum(errors, axis=0)
            strata[pair.name[:2]].append(_gain(before, after))
        print(pair.name, flush=True)
    record = {
        "what": f"gain over the input of filters fitted on the answer, {len(scenes)} scenes of SynDP",
        "edition": scenes.edition,
        "bins": [
            {
                "from_px": low,
                "to_px": high if high < math.inf else None,
                "pixels": int(pixels),
                "gain": _gain(before, after),
            }
            for (low, high), (pixels, before, after) in zip(ranges, pooled, strict=True)
            if after
        ],
        "strata": {name: round(float(np.mean(gains)), 3) for name, gains in strata.items() if gains},
    }
    write_json(arguments.output, record)


if __name__ == "__main__":
    main()
