"""From which blur radius on is a coarser working scale worth it? Every scene of SynDP that is blurred, at each scale.

    python benchmarks/scales.py --syndp DIR [--model ifan-fast] [-o results/scales]

DIR is a folder that `allfocus eval --data syndp --root DIR` made. Written are OUTPUT.csv, a row a scene: the radius
that `measure_blur` finds (what `--scale auto` decides by) and the gain in PSNR from each scale on; and OUTPUT.json, the
mean of what starting at scale 2 and at 4 adds to scale 1, over the scenes above each radius.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from pathlib import Path

import numpy as np

from allfocus.data import syndp
from allfocus.deblurrer import Deblurrer
from allfocus.metrics.psnr import psnr
from allfocus.restore import Settings
from allfocus.scale import SCALES, START_RADIUS_PX

FROM_PX = 4.0
RADII_PX = (4, 6, 8, 10, 12, 14)


def measure(deblurrer: Deblurrer, root: Path) -> list[dict[str, object]]:
    """A row for every scene whose measured blur reaches `FROM_PX`."""
    pairs, rows = syndp.load(root), []
    for pair in pairs:
        assert pair.target is not None
        photo, target = pairs.read(pair.source), pairs.read(pair.target)
        before, gains, large_px = psnr(photo, target), {}, 0.0
        for scale in reversed(SCALES):
            done = deblurrer.run(photo, settings=Settings(scale=scale))
            large_px = done.blur.large_px
            if large_px < FROM_PX:
                break
            gains[f"gain_{scale}"] = round(psnr(np.asarray(done.output), target) - before, 3)
        if gains:
            rows.append({"name": pair.name, "large_px": round(large_px, 2), **gains})
            print(rows[-1], flush=True)
    return rows


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """What scales 2 and 4 add to scale 1, over the scenes above each radius."""
    found = []
    for radius_px in RADII_PX:
        above: list[dict] = [row for row in rows if float(str(row["large_px"])) > radius_px]
        added = {scale: [row[f"gain_{scale}"] - row["gain_1"] for row in above] for scale in (2, 4)}
        means = {f"scale_{scale}_adds_db": round(statistics.fmean(added[scale]), 3) for scale in added if above}
        found.append({"above_px": radius_px, "scenes": len(above), **means})
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--syndp", type=Path, required=True)
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/scales"))
    arguments = parser.parse_args()
    deblurrer = Deblurrer(arguments.model)
    rows = measure(deblurrer, arguments.syndp)
    with arguments.output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    card = deblurrer.model.card
    record = {
        "what": "SynDP: mean of what a coarser first scale adds to the gain in PSNR, dB, above each measured radius",
        "model": card.name,
        "sha256": card.sha256,
        "auto_starts_above_px": START_RADIUS_PX,
        "above": summary(rows),
    }
    arguments.output.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
