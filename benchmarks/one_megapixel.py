"""How long does one photo take, from the start of the process to its end? The cache of compiled models is warm.

    python benchmarks/one_megapixel.py PHOTO -o results/one_megapixel.json

The photo is resized to a megapixel, stored as JPEG, and goes through the `allfocus deblur` command several times.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyvips

from allfocus.atomic_file import write_json
from allfocus.engine.processor import Processor

PIXELS = 1_000_000


def main() -> None:
    """Resize, warm up, time, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/one_megapixel.json"))
    options = parser.parse_args()
    photo = pyvips.Image.new_from_file(str(options.photo)).colourspace("srgb")[:3]
    photo = photo.resize((PIXELS / photo.width / photo.height) ** 0.5)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "photo.jpg"), Path(folder, "sharp.jpg")
        photo.jpegsave(str(source), Q=95)
        line = [sys.executable, "-m", "allfocus", "deblur", str(source), "-o", str(target), "--overwrite", "--json"]
        seconds = []
        for _ in range(options.repeats + 1):
            started = time.perf_counter()
            done = subprocess.run(line, check=True, capture_output=True, text=True)
            seconds.append(time.perf_counter() - started)
    told = json.loads(done.stdout)
    record = {
        "what": "allfocus deblur of one JPEG, from the start of the process to its end; the first run warms the cache",
        "photo": f"{photo.width}x{photo.height}",
        "warm_seconds": [round(one, 3) for one in seconds[1:]],
        "median_seconds": round(statistics.median(seconds[1:]), 3),
        "first_seconds": round(seconds[0], 3),
        "scales": told["scales"],
        "engine": told["engine"],
        "cores_allowed": len(os.sched_getaffinity(0)),
        "load_average_before": round(load, 2),
        "machine": Processor.here().name,
    }
    write_json(options.output, record)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
