"""What the shipped weights do through the `allfocus deblur` command: better real photos, sharp ones left alone.

    python benchmarks/real_photos.py --pairs DIR --lpips DIR --sharp DIR --only held_out.txt -o results

Every photo of DIR/source goes through the command and is scored against DIR/target by `allfocus eval` (its rows and
summary land in the results folder); sharp photos kept out of training go through it too, and the output is compared
with the input: results/sharp_photos.ifan-fast.json. `python tools/card.py` writes the means into the weights' card.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyvips

from allfocus.atomic_file import write_json
from allfocus.metrics.psnr import psnr
from allfocus.weights.store import find

SHARP_PHOTOS = 20
IDENTICAL_DB = 100.0  # what a photo that comes out bit for bit counts as


def allfocus(*arguments: object) -> str:
    """Run the command line, return what it printed."""
    line = [sys.executable, "-m", "allfocus", *map(str, arguments)]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout


def deblur_all(photos: list[Path], folder: Path, model: str) -> list[dict[str, object]]:
    """Each photo to a PNG of its name in the folder; what the command told of each."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        json.loads(allfocus("deblur", path, "-o", folder / f"{path.stem}.png", "--model", model, "--json"))
        for path in photos
    ]


def sharp_photos(folder: Path, only: Path) -> list[Path]:
    """Some of the photos that are named, evenly chosen."""
    names = only.read_text(encoding="utf-8").split()
    return [folder / name for name in names[:: max(1, len(names) // SHARP_PHOTOS)][:SHARP_PHOTOS]]


def score_sharp(photos: list[Path], folder: Path, model: str) -> dict[str, object]:
    """PSNR of the output against the input, photo by photo."""
    told = deblur_all(photos, folder, model)
    rows = {}
    for path in photos:
        before, after = (
            pyvips.Image.new_from_file(str(file)).colourspace("srgb")[:3].numpy() / 255.0
            for file in (path, folder / f"{path.stem}.png")
        )
        rows[path.name] = round(min(psnr(after, before), IDENTICAL_DB), 3)
    return {
        "what": "PSNR in dB of the output against the input, sharp photos not trained on; bit-identical counts 100",
        "model": model,
        "sha256": find(model).card.sha256,
        "engine": told[0]["engine"],
        "mean": round(float(np.mean(list(rows.values()))), 3),
        "rows": rows,
    }


def main() -> None:
    """Restore and score both sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("--sharp", type=Path, required=True)
    parser.add_argument("--only", type=Path, required=True, help="names of the sharp photos to use")
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("-o", "--output", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    photos = sharp_photos(arguments.sharp, arguments.only)
    if not photos:
        parser.error(f"{arguments.only} is empty: expected names of photos in {arguments.sharp}, a line each")
    lpips = () if arguments.lpips is None else ("--lpips", arguments.lpips)
    with tempfile.TemporaryDirectory() as scratch:
        restored = Path(scratch) / "restored"
        deblur_all(sorted((arguments.pairs / "source").iterdir()), restored, arguments.model)
        method = f"{arguments.model}@command=folder:{restored}"
        print(
            allfocus(
                "eval", "input", method, "--data", "pairs", "--root", arguments.pairs, "-o", arguments.output,
                "--fresh", *lpips,
            )
        )  # fmt: skip
        record = score_sharp(photos, Path(scratch) / "sharp", arguments.model)
    target = arguments.output / f"sharp_photos.{arguments.model}.json"
    write_json(target, record)
    print(f"sharp photos: {record['mean']} dB against the input")


if __name__ == "__main__":
    main()
