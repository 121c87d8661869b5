"""Two questions about tiles: do they show, and does memory stay bounded.

    python benchmarks/tiles.py --photos DIR -o results/tiles.ifan-fast.json

Seams: a real photo of 3 megapixels (photos of DIR side by side, cut to size) restored in tiles against restored whole,
the largest difference in 8-bit grey levels. Memory: a TIFF of 100 megapixels through the command, from file to file,
peak resident set of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyvips

from allfocus.atomic_file import write_json
from allfocus.deblurrer import Deblurrer
from allfocus.engine.processor import Processor
from allfocus.restore import Settings

SEAM_WIDTH, SEAM_HEIGHT = 2200, 1366
MEMORY_SIDE = 10_000
WHOLE_PX = 4096


def joined(photos: list[Path], width: int, height: int) -> np.ndarray:
    """Photos side by side, row by row, cut to (height, width, 3) uint8."""
    pictures = [pyvips.Image.new_from_file(str(path)).colourspace("srgb")[:3] for path in photos]
    across = -(-width // pictures[0].width)
    down = -(-height // pictures[0].height)
    wall = [pictures[i % len(pictures)] for i in range(across * down)]
    return pyvips.Image.arrayjoin(wall, across=across).crop(0, 0, width, height).numpy()


def measure_seams(photo: np.ndarray, precision: str, scale: str) -> dict[str, object]:
    """Largest and mean difference between tiled and whole, in grey levels."""
    deblurrer = Deblurrer(precision=precision)
    tiled = deblurrer.run(photo, settings=Settings(scale=scale))
    whole = deblurrer.run(photo, settings=Settings(scale=scale, tile=WHOLE_PX))
    assert isinstance(tiled.output, np.ndarray)
    assert isinstance(whole.output, np.ndarray)
    difference = np.abs(tiled.output.astype(int) - whole.output)
    return {
        "precision": precision,
        "scales": list(tiled.scales),
        "tile_px": tiled.tile,
        "context_px": deblurrer.model.card.context_px,
        "largest_levels": int(difference.max()),
        "share_that_differs": float((difference > 0).mean()),
        "largest_change_by_the_network": int(np.abs(whole.output.astype(int) - photo).max()),
    }


def measure_memory(photo: np.ndarray, folder: Path, scale: str, side: int) -> dict[str, object]:
    """A square TIFF through the command; peak resident set in MB."""
    source, target = folder / "large.tif", folder / "large.sharp.tif"
    tile = pyvips.Image.new_from_array(photo)
    across = -(-side // tile.width)
    down = -(-side // tile.height)
    tile.replicate(across, down).crop(0, 0, side, side).tiffsave(str(source))
    started = time.perf_counter()
    line = [sys.executable, "-m", "allfocus", "deblur", str(source), "-o", str(target), "--scale", scale, "--json"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    after = pyvips.Image.new_from_file(str(target))
    assert (after.width, after.height) == (side, side)
    return {
        "megapixels": side**2 / 1e6,
        "scales": told["scales"],
        "peak_resident_mb": round(usage.ru_maxrss / 1024),
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """Measure both, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=(SEAM_WIDTH, SEAM_HEIGHT))
    parser.add_argument("--side", type=int, default=MEMORY_SIDE, help="of the TIFF in px")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/tiles.ifan-fast.json"))
    arguments = parser.parse_args()
    photo = joined(sorted(arguments.photos.iterdir()), *arguments.size)
    record: dict[str, object] = {"machine": Processor.here().name}
    with tempfile.TemporaryDirectory() as folder:  # first: a process starts with its parent's peak, still small here
        record["memory"] = measure_memory(photo, Path(folder), "4", arguments.side)
    record["seams"] = [
        measure_seams(photo, precision, scale) for precision in ("float32", "bfloat16") for scale in ("1", "2")
    ]
    write_json(arguments.output, record)
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
