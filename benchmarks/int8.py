"""May int8 be the default? The gate that its ranges have to pass; one command, JSON, exit code 1 if they do not.

    python benchmarks/int8.py --data DIR --lpips DIR --sharp DIR --only src/allfocus/weights/held_out.txt

DIR of --data holds real-val and lytro-val. Every photo goes through the pipeline with the network in float32 and in
int8, rounded to 8 bit. Allowed: 0.02 dB of PSNR-fit and 0.001 of LPIPS on either set, 50 dB or more between the two,
and sharp photos kept out of training stay as they are: 60 dB or more against the input, and at most 1 dB less than with
float32 (at 67 dB that is a hundredth of a grey level). With --judge the figures in the file are judged again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.atomic_file import write_json
from allfocus.deblurrer import Deblurrer
from allfocus.engine.processor import Processor
from allfocus.metrics.lpips import LPIPS
from allfocus.metrics.psnr import psnr, psnr_fit
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box

SETS = ("real-val", "lytro-val")
LOST_DB, LOST_LPIPS, AGREEMENT_DB, UNTOUCHED_DB, SHARP_DB = 0.02, 0.001, 50.0, 60.0, 1.0
SHARP_PHOTOS = 12
IDENTICAL_DB = 100.0


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3) uint8."""
    photo = decode(path)
    array = photo.read(Box(0, 0, photo.width, photo.height))
    return array if array.dtype == np.uint8 else np.rint(array / photo.peak * 255).astype(np.uint8)


def scored(folder: Path, exact: Deblurrer, tried: Deblurrer, lpips: LPIPS) -> dict[str, Any]:
    """Means over a set of pairs, float32 and the other, and how close they are."""
    rows = []
    targets = {path.stem: path for path in (folder / "target").iterdir()}
    for path in sorted((folder / "source").iterdir()):
        photo, target = pixels(path), pixels(targets[path.stem]) / 255.0
        row: dict[str, Any] = {"photo": path.stem}
        outputs = [np.asarray(one.run(photo).output) / 255.0 for one in (exact, tried)]
        for name, output in zip(("float32", tried.engine.info.precision), outputs, strict=True):
            row[name] = {"psnr_fit": psnr_fit(output, target), "lpips": lpips(output, target)}
        row["agreement_db"] = min(psnr(outputs[1], outputs[0]), IDENTICAL_DB)
        rows.append(row)
    kinds = ("float32", tried.engine.info.precision)
    means = {
        kind: {
            metric: round(float(np.mean([row[kind][metric] for row in rows])), 4) for metric in ("psnr_fit", "lpips")
        }
        for kind in kinds
    }
    close = [row["agreement_db"] for row in rows]
    found = {
        "photos": len(rows),
        **means,
        "agreement_db": {"mean": round(float(np.mean(close)), 2), "lowest": round(min(close), 2)},
    }
    return {**found, "passed": agrees(found, kinds[1])}


def agrees(found: dict[str, Any], precision: str) -> bool:
    """Whether the figures of a set, to the four digits that are kept, are within what is allowed."""
    exact, tried = found["float32"], found[precision]
    return (
        round(exact["psnr_fit"] - tried["psnr_fit"], 4) <= LOST_DB
        and round(tried["lpips"] - exact["lpips"], 4) <= LOST_LPIPS
        and found["agreement_db"]["mean"] >= AGREEMENT_DB
    )


def sharp(photos: list[Path], exact: Deblurrer, tried: Deblurrer) -> dict[str, Any]:
    """Sharp photos: output against input."""
    means = []
    for one in (exact, tried):
        levels = [pixels(path) for path in photos]
        values = [min(psnr(np.asarray(one.run(array).output) / 255.0, array / 255.0), IDENTICAL_DB) for array in levels]
        means.append(round(float(np.mean(values)), 2))
    found = dict(zip(("float32_db", f"{tried.engine.info.precision}_db"), means, strict=True))
    return {"photos": len(photos), **found, "passed": untouched(*means)}


def untouched(exact_db: float, tried_db: float) -> bool:
    """Whether sharp photos stay as they are."""
    return tried_db >= UNTOUCHED_DB and exact_db - tried_db <= SHARP_DB


def main() -> None:
    """Run the gate, write what it found, say whether it was passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("--sharp", type=Path)
    parser.add_argument("--only", type=Path, help="names of the sharp photos to use")
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--precision", default="int8", help="what is compared with float32")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/int8.json"))
    parser.add_argument("--judge", action="store_true", help="measure nothing, judge the file again")
    options = parser.parse_args()
    if options.judge:
        record = json.loads(options.output.read_text(encoding="utf-8"))
        kept = record["sharp"]
        kept["passed"] = untouched(kept["float32_db"], kept[f"{record['precision']}_db"])
        for name in SETS:
            record[name]["passed"] = agrees(record[name], record["precision"])
        record["allowed"] |= {"sharp_db": SHARP_DB, "untouched_db": UNTOUCHED_DB}
        finish(record, options.output)
        return
    exact, tried = (Deblurrer(options.model, "openvino", one) for one in ("float32", options.precision))
    lpips = LPIPS(options.lpips)
    record: dict[str, Any] = {
        "model": exact.model.card.name,
        "sha256": exact.model.card.sha256,
        "precision": options.precision,
        "processor": {"name": Processor.here().name, "features": Processor.here().features},
        "allowed": {
            "psnr_fit_db": LOST_DB,
            "lpips": LOST_LPIPS,
            "agreement_db": AGREEMENT_DB,
            "sharp_db": SHARP_DB,
            "untouched_db": UNTOUCHED_DB,
        },
    }
    for name in SETS:
        record[name] = scored(options.data / name, exact, tried, lpips)
        print(name, json.dumps(record[name]), flush=True)
    names = options.only.read_text().split()
    chosen = [options.sharp / name for name in names[:: max(1, len(names) // SHARP_PHOTOS)]][:SHARP_PHOTOS]
    record["sharp"] = sharp(chosen, exact, tried)
    finish(record, options.output)


def finish(record: dict[str, Any], output: Path) -> None:
    """Write the verdict; exit code 1 when it is no."""
    record["passed"] = all(record[part]["passed"] for part in (*SETS, "sharp"))
    write_json(output, record)
    print(json.dumps(record["sharp"]), "passed" if record["passed"] else "NOT passed")
    if not record["passed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
