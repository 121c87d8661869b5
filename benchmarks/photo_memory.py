"""How much memory and processor time a large photo takes: decode, boxes, canvas, encode, without a network.

Each photo is made first, then goes through in a process of its own, whose maximum resident set is measured.

    python benchmarks/photo_memory.py [--megapixels 100] [--folder SCRATCH]     writes results/photo_memory.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pyvips

from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode
from allfocus.photo.tiling import Box

SIDE = 512
TILES = {"tile": True, "tile_width": 256, "tile_height": 256}
DEFLATE = {"compression": "deflate", "predictor": "horizontal"}
PHOTOS = {
    "strips.tif": {},
    "strips-deflate.tif": DEFLATE,
    "tiles-deflate.tif": DEFLATE | TILES,
    "deep-deflate.tif": DEFLATE,
    "photo.jpg": {"Q": 92},
    "progressive.jpg": {"Q": 92, "interlace": True},
    "photo.png": {"compression": 1},
}


def made(path: Path, megapixels: float, options: dict[str, object]) -> Path:
    """A photo of smooth colour and noise, 8 bit RGB, or 16 bit if its name says deep."""
    side = round((megapixels * 1e6) ** 0.5)
    ramp = pyvips.Image.xyz(side, side) * (255 / side)
    noise = pyvips.Image.gaussnoise(side, side, sigma=3)
    image = ramp.bandjoin((ramp[0] + ramp[1]) / 2) + noise
    deep = path.name.startswith("deep")
    image = (image * 257).cast("ushort") if deep else image.cast("uchar")
    image = image.copy(interpretation="rgb16" if deep else "srgb")
    if path.suffix == ".tif":
        image.tiffsave(str(path), **options)
    elif path.suffix == ".jpg":
        image.jpegsave(str(path), **options)
    else:
        image.pngsave(str(path), **options)
    return path


def through(path: Path) -> dict[str, object]:
    """Send a photo through, in this process, and say what it took."""
    marks = [("start", time.process_time(), peak_mb())]
    photo = decode(path)
    marks.append(("decode", time.process_time(), peak_mb()))
    reader = photo.unit()
    out = path.with_name(f"out{path.suffix}")
    with Canvas(photo.width, photo.height, photo.bands, photo.dtype) as canvas:
        for y in range(0, photo.height, SIDE):
            for x in range(0, photo.width, SIDE):
                box = Box(x, y, min(SIDE, photo.width - x), min(SIDE, photo.height - y))
                reader.read(box)
                canvas.write(box, photo.read(box))
        marks.append(("boxes", time.process_time(), peak_mb()))
        encode(photo, canvas, out)
    marks.append(("encode", time.process_time(), peak_mb()))
    size = out.stat().st_size
    out.unlink()
    steps = {
        name: {"cpu_seconds": round(at - before, 2), "peak_mb": peak}
        for (_, before, _), (name, at, peak) in pairwise(marks)
    }
    return {
        "photo": path.name,
        "pixels": f"{photo.width}x{photo.height}",
        "bits": photo.depth,
        "file_mb": round(path.stat().st_size / 1e6),
        "out_mb": round(size / 1e6),
        "start_peak_mb": marks[0][2],
        **steps,
    }


def peak_mb() -> int:
    """Maximum resident set of this process so far, in MB.

    Read from /proc: what getrusage says starts, in a new process, with that of the process which made it.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6)
    raise RuntimeError("no VmHWM in /proc/self/status; this benchmark needs Linux")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--megapixels", type=float, default=100)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("-o", "--output", type=Path, default=root / "results" / "photo_memory.json")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(through(arguments.one)))
        return
    rows = []
    for name, options in PHOTOS.items():
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path = made(Path(folder) / name, arguments.megapixels, options)
            done = subprocess.run([sys.executable, __file__, "--one", path], capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout))
        print(done.stdout.strip(), flush=True)
    conditions = {
        "cpus": os.cpu_count(),
        "load_15_minutes": round(os.getloadavg()[2], 1),
        "python": platform.python_version(),
        "libvips": ".".join(str(pyvips.version(part)) for part in range(3)),
        "box": SIDE,
    }
    arguments.output.write_text(json.dumps({"conditions": conditions, "photos": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
