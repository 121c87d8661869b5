"""From which blur radius on is a coarser working scale worth it? Scenes of SynDP and real photos, at each scale.

    python benchmarks/scales.py --syndp DIR --pairs DIR [--model ifan-fast] [-o results]

The first folder is one that `allfocus eval --data syndp --root DIR` made, the second holds source/ and target/.
Written are OUTPUT.csv, a row for each photo that is blurred: the radius that `measure_blur` finds (what `--scale auto`
decides by) and the gain from each scale on, in PSNR, of real photos in PSNR-fit; and OUTPUT.json, the mean of what
starting at scale 2 and at 4 adds to scale 1, over the photos above each radius.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np

from allfocus.atomic_file import write_json
from allfocus.data.pairs import PairSet
from allfocus.data.registry import load
from allfocus.deblurrer import Deblurrer
from allfocus.metrics import psnr, psnr_fit
from allfocus.restore import Settings
from allfocus.scales import SCALES, START_LARGE_PX, START_TYPICAL_PX

FROM_PX = 4.0
RADII_PX = (4, 6, 8, 10, 12, 14)
Score = Callable[[np.ndarray, np.ndarray], float]


def measure(deblurrer: Deblurrer, pairs: PairSet, score: Score) -> list[dict[str, object]]:
    """A row for every photo whose measured blur reaches `FROM_PX`."""
    rows = []
    for pair in pairs:
        assert pair.target is not None
        photo, target = pairs.read(pair.source), pairs.read(pair.target)
        before, gains, large_px = score(photo, target), {}, 0.0
        for scale in reversed(SCALES):
            done = deblurrer.run(photo, settings=Settings(scale=scale))
            large_px = done.blur.large_px
            if large_px < FROM_PX:
                break
            gains[f"gain_{scale}"] = round(score(np.asarray(done.output), target) - before, 3)
        if gains:
            rows.append({"set": pairs.name, "name": pair.name, "large_px": round(large_px, 2), **gains})
            print(rows[-1], flush=True)
    return rows


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """What scales 2 and 4 add to scale 1, over the photos above each radius."""
    found = []
    for radius_px in RADII_PX:
        above: list[dict] = [row for row in rows if float(str(row["large_px"])) > radius_px]
        added = {scale: [row[f"gain_{scale}"] - row["gain_1"] for row in above] for scale in (2, 4)}
        means = {f"scale_{scale}_adds_db": round(statistics.fmean(added[scale]), 3) for scale in added if above}
        found.append({"above_px": radius_px, "photos": len(above), **means})
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--syndp", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("-o", "--output", type=Path, default=Path("results"), help="Folder.")
    arguments = parser.parse_args()
    deblurrer = Deblurrer(arguments.model)
    simulated = measure(deblurrer, load("syndp", arguments.syndp), psnr)
    real = measure(deblurrer, load("pairs", arguments.pairs), psnr_fit)
    rows = simulated + real
    place = arguments.output / f"scales.{deblurrer.model.card.name}"
    with Path(f"{place}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    card = deblurrer.model.card
    record = {
        "what": "mean of what a coarser first scale adds to the gain, dB, above each measured radius",
        "model": card.name,
        "sha256": card.sha256,
        "auto_starts_above_px": {"typical": START_TYPICAL_PX, "large": START_LARGE_PX},
        "syndp": summary(simulated),
        "real": summary(real),
    }
    write_json(Path(f"{place}.json"), record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
