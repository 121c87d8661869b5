"""What `--strength` trades: likeness to the sharp photo against crispness, from faithful to crisp.

    python benchmarks/strength.py PAIRS... --sharp DIR --only held_out.txt --lpips DIR [--model ifan-fast]
        [--every 1] [-o results/strength.json]

Every photo of PAIRS/source is restored as by `allfocus deblur`, at each strength, and scored against PAIRS/target;
sharp photos are restored too and compared with themselves. Scores of photos that are in focus already are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allfocus.atomic_file import write_json
from allfocus.data.registry import load
from allfocus.deblurrer import Deblurrer
from allfocus.evaluate.measure import machine
from allfocus.metrics.lpips import LPIPS
from allfocus.metrics.psnr import psnr, psnr_fit
from allfocus.metrics.ringing import ringing
from allfocus.metrics.ssim import ssim
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.restore import MOST_STRENGTH, Settings
from race import IN_FOCUS_DB
from real_photos import IDENTICAL_DB, sharp_photos

STRENGTHS = (0.0, 0.5, 0.75, 1.0, 1.2, MOST_STRENGTH)

Picture = NDArray[np.float32]


def restored(deblurrer: Deblurrer, photo: Picture, strength: float) -> Picture:
    """(H, W, 3) in [0, 1], through 8 bits."""
    found = deblurrer.run(np.rint(photo * 255).astype(np.uint8), settings=Settings(strength=strength)).output
    return np.asarray(found, np.float32) / 255


def scores(deblurrer: Deblurrer, folder: Path, every: int, lpips: LPIPS | None) -> dict[str, Any]:
    """Means over a set, by strength."""
    pairs = load("pairs", folder, "test")
    rows: dict[float, list[dict[str, float]]] = {strength: [] for strength in STRENGTHS}
    for pair in list(pairs)[::every]:
        photo, target = pairs.read(pair.source), pairs.read(pair.target)
        if psnr_fit(photo, target) >= IN_FOCUS_DB:
            continue
        for strength, scored in rows.items():
            found = restored(deblurrer, photo, strength)
            scored.append({"psnr_fit": psnr_fit(found, target), "ssim": ssim(found, target),
                           "ringing": ringing(found, photo)})  # fmt: skip
            if lpips is not None:
                scored[-1]["lpips"] = lpips(found, target)
    return {f"{strength:g}": {"photos": len(found), **mean(found)} for strength, found in rows.items()}


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure."""
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def changes(deblurrer: Deblurrer, paths: list[Path]) -> dict[str, float]:
    """Mean PSNR of sharp photos against themselves, by strength."""
    photos = [pixels(path) for path in paths]
    return {
        f"{strength:g}": round(
            float(np.mean([min(psnr(restored(deblurrer, one, strength), one), IDENTICAL_DB) for one in photos])), 2
        )
        for strength in STRENGTHS[1:]
    }


def pixels(path: Path) -> Picture:
    """(H, W, 3) in [0, 1]."""
    photo = decode(path)
    return photo.read(Box(0, 0, photo.width, photo.height))[..., :3].astype(np.float32) / np.float32(photo.peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--sharp", type=Path, required=True)
    parser.add_argument("--only", type=Path, required=True, help="names of the sharp photos to use")
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--every", type=int, nargs="+", default=[1], help="of each set, every how many photos")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/strength.json"))
    args = parser.parse_args()
    deblurrer, lpips = Deblurrer(args.model), None if args.lpips is None else LPIPS(args.lpips)
    every = args.every * (len(args.pairs) if len(args.every) == 1 else 1)
    sets = {}
    for folder, step in zip(args.pairs, every, strict=True):
        sets[folder.name] = scores(deblurrer, folder, step, lpips)
        print(folder.name, sets[folder.name], flush=True)
    found = {"model": args.model, "sha256": deblurrer.model.card.sha256, "sets": sets,
             "sharp_photos": changes(deblurrer, sharp_photos(args.sharp, args.only)),
             "machine": machine()}  # fmt: skip
    write_json(args.output, found)


if __name__ == "__main__":
    main()
