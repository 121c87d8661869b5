"""Would another factor on the network's residual than one number do better, and how much at most?

    python benchmarks/residual_gain.py PAIRS PAIRS --lpips DIR [--model ifan-fast] [--model-gain 0.7]
        [-o results/residual_gain.json]

The residual of a model, whose weights hold its factor already, is taken at factor 1. It is multiplied by one number, by
a curve over the measured blur radius or the local contrast, or by what is best for each photo, which only its sharp
picture tells: a bound. Curves are least squares (each photo weighed by its error), learnt on the other set or on the
same one, which flatters. Also the mean of the residual and that of the mirror image. Whole photos, not rounded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from allfocus.atomic_file import write_json
from allfocus.data.registry import load
from allfocus.defocus.measure import local_radius_px
from allfocus.metrics.lpips import LPIPS
from allfocus.metrics.psnr import fit_gain_offset, psnr_fit
from averaged_weights import RADII_PX, REGRESSED_AT, Picture, change, network

Plane = NDArray[np.floating]
RADIUS_PLACES = (0.5, 1.5, 2.5, 3.5, 4.5, 6.0, 9.0)  # px, where a curve over RADII_PX passes through its values
CONTRASTS, CONTRAST_PLACES, CONTRAST_WINDOW_PX = (0.02, 0.04, 0.08), (0.01, 0.03, 0.06, 0.12), 15
FACTORS, MIRRORED = (0.6, 0.7, 0.75, 0.85, 1.0), (0.7, 0.75)


@dataclass(frozen=True)
class Seen:
    """A pair and what the network makes of it.

    Attributes:
        photo, target: (H, W, 3) in [0, 1].
        residual, mirrored: what would be added at factor 1, from the photo and from it and its mirror image; (H, W, 3).
        radius_px, contrast: (H, W), as measured in the photo; contrast is the deviation of its grey in 15 px.
    """

    photo: Picture
    target: Picture
    residual: Picture
    mirrored: Picture
    radius_px: Plane
    contrast: Plane

    def best(self, groups: NDArray[np.integer], count: int) -> tuple[Plane, Plane]:
        """Numerator and denominator of the best factor of each group of pixels, over the photo's error."""
        start = self.photo + REGRESSED_AT * self.residual
        gain, offset = fit_gain_offset(start, self.target)
        lit = (self.target - offset) / gain  # the target in the light of the photo
        wanted = (self.residual * (lit - self.photo)).sum(axis=2).ravel()
        own = np.square(self.residual).sum(axis=2).ravel()
        error = np.square(start - lit).sum()
        above, below = (np.bincount(groups.ravel(), one, count) / error for one in (wanted, own))
        return above, below


def seen(photo: Picture, target: Picture, run: Callable[[Picture], Picture]) -> Seen:
    """Run the network on a photo and on its mirror image."""
    residual = run(photo)
    turned = run(np.ascontiguousarray(photo[:, ::-1]))[:, ::-1]
    grey = photo.mean(axis=2)
    mean, square = (uniform_filter(one, CONTRAST_WINDOW_PX) for one in (grey, grey * grey))
    contrast = np.sqrt(np.maximum(square - mean * mean, 0))
    return Seen(photo, target, residual, ((residual + turned) / 2).astype(np.float32), local_radius_px(photo), contrast)


def radius_curve(photos: Sequence[Seen]) -> Callable[[Seen], Plane]:
    """The best factor by radius: a function of a photo, (H, W, 1)."""
    sums = [one.best(np.digitize(one.radius_px, RADII_PX[1:-1]), len(RADII_PX) - 1) for one in photos]
    above, below = np.sum(sums, axis=0)
    values = (above / np.maximum(below, 1e-9)).clip(0, 1.5)
    return lambda one: np.interp(one.radius_px, RADIUS_PLACES, values)[..., None]


def contrast_curve(photos: Sequence[Seen]) -> Callable[[Seen], Plane]:
    """The same by contrast."""
    sums = [one.best(np.digitize(one.contrast, CONTRASTS), len(CONTRASTS) + 1) for one in photos]
    above, below = np.sum(sums, axis=0)
    values, places = (above / np.maximum(below, 1e-9)).clip(0, 1.5), np.log(CONTRAST_PLACES)
    return lambda one: np.interp(np.log(one.contrast + 1e-4), places, values)[..., None]


def own_factor(one: Seen) -> Plane:
    """The best number for a photo."""
    above, below = one.best(np.zeros(one.radius_px.shape, int), 1)
    return above / below


def scores(
    photos: Sequence[Seen], factor: Callable[[Seen], Plane | float], lpips: LPIPS, mirrored: bool = False
) -> dict:
    """Means over a set."""
    results = [
        (one.photo + factor(one) * (one.mirrored if mirrored else one.residual)).clip(0, 1).astype(np.float32)
        for one in photos
    ]
    pairs = list(zip(results, (one.target for one in photos), strict=True))
    return {
        "psnr_fit": round(float(np.mean([psnr_fit(*pair) for pair in pairs])), 3),
        "lpips": round(float(np.mean([lpips(*pair) for pair in pairs])), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs=2)
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--model-gain", type=float, default=0.7)
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/residual_gain.json"))
    args = parser.parse_args()
    lpips, net = LPIPS(args.lpips), network(args.model, 1 / args.model_gain)
    sets = {}
    for folder in args.pairs:
        pairs = load("pairs", folder, "test")
        both = [(pairs.read(one.source), pairs.read(one.target)) for one in pairs if one.target is not None]
        sets[folder.name] = [seen(photo, target, lambda picture: change(net, picture)) for photo, target in both]
        print(folder.name, len(both), "photos", flush=True)
    found: dict[str, dict[str, dict]] = {}
    for name, photos in sets.items():
        (other,) = (one for key, one in sets.items() if key != name)
        tried: dict[str, dict] = {}
        for value in FACTORS:
            tried[f"{value:g}"] = scores(photos, lambda _, value=value: value, lpips)
        for value in MIRRORED:
            tried[f"{value:g}, mean with the mirror image"] = scores(photos, lambda _, value=value: value, lpips, True)
        for what, curve in (("radius", radius_curve), ("contrast", contrast_curve)):
            tried[f"by {what}, learnt on the other set"] = scores(photos, curve(other), lpips)
            tried[f"by {what}, learnt on the same set"] = scores(photos, curve(photos), lpips)
        tried["each photo's best"] = scores(photos, own_factor, lpips)
        tried["each photo's best by radius"] = scores(photos, lambda one: radius_curve([one])(one), lpips)
        found[name] = tried
        for scheme, row in tried.items():
            print(name, scheme, row, flush=True)
    write_json(args.output, {"model": args.model, "sets": found})


if __name__ == "__main__":
    main()
