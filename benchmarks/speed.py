"""What a user waits for: the network alone, a 24-megapixel photo, one megapixel; before and after, in one run.

    python benchmarks/speed.py --photos DIR --scenes DIR --before CHECKOUT -o benchmarks/speed.json

DIR of --photos holds real photos (real-val/source); --scenes is the scratch folder of benchmarks/large_photos.py;
--before is a checkout of the code to compare with (git worktree add). Its parts, which --only takes one by one:

network   1280x720: plain torch float32 `ifan`, and both models on OpenVINO in each precision, interleaved
large     24-megapixel JPEGs from start to file through `allfocus deblur`, this code and the one before, interleaved
megapixel one megapixel with a warm cache from start to exit, and `allfocus --version`
share     how much of the network's work is left out because nothing is blurred there, and what that changes
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from allfocus.atomic_file import write_json
from allfocus.cli.bench_photos import Watched, watched
from allfocus.engine.base import Engine, EngineInfo, Estimate
from allfocus.engine.choose import choose
from allfocus.engine.openvino import OpenVINOEngine, unavailable
from allfocus.engine.processor import Processor
from allfocus.photo.codecs import decode
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box
from allfocus.restore import Restored, Settings, finish, restore
from allfocus.weights.store import find

HEIGHT, WIDTH = 720, 1280
PRECISIONS = ("float32", "bfloat16", "int8")
NETWORK_ROUNDS = 9  # torch alone varies by a fifth from round to round
HERE = Path(__file__).resolve().parents[1]


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds by round, after one warm-up each; whatever else the machine does meets all alike."""
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(timed(work))
    return seconds


def network(rounds: int, width: int, height: int) -> dict[str, Any]:
    """Ratios to plain torch float32 `ifan`, round by round."""
    import torch

    from allfocus.engine.torch import TorchEngine

    torch.set_num_threads(Processor.here().threads)
    engines: dict[str, Engine] = {"torch float32 ifan": TorchEngine(find("ifan"), "float32", "cpu")}
    for name in ("ifan", "ifan-fast"):
        for precision in PRECISIONS:
            if unavailable(precision, find(name)) is None:
                engines[f"openvino {precision} {name}"] = OpenVINOEngine(find(name), precision)
    batch = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
    seconds = interleaved({name: (lambda one=one: one.run(batch)) for name, one in engines.items()}, rounds)
    slow = seconds["torch float32 ifan"]
    return {
        "size": f"{width}x{height}",
        "chosen": {name: choose(find(name)).info.precision for name in ("ifan", "ifan-fast")},
        "engines": {
            name: {
                "seconds": [round(one, 4) for one in values],
                "median_seconds": round(statistics.median(values), 4),
                "times_plain_torch": round(statistics.median(a / b for a, b in zip(slow, values, strict=True)), 2),
            }
            for name, values in seconds.items()
        },
    }


def run(arguments: list[str], source: Path, cache: Path) -> tuple[Watched, dict[str, Any]]:
    """What one `allfocus deblur --json` of the code in a checkout took, and what it told."""
    environment = {**os.environ, "PYTHONPATH": str(source / "src"), "ALLFOCUS_CACHE": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    found = watched(arguments, environment)
    return found, json.loads(found.output) if found.output.startswith("{") else {}


def large(scenes: Path, before: Path, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """24 megapixels from start to file: this code and the code before, interleaved after a small warm-up."""
    sources = {"after": HERE, "before": before.resolve()}
    small = folder / "small.jpg"
    pyvips.Image.gaussnoise(256, 256, mean=128).cast("uchar").bandjoin([128, 128]).jpegsave(str(small))
    for name, source in sources.items():
        run(["deblur", str(small), "-o", str(folder / f"{name}.jpg"), "--json", "--overwrite"], source, folder / name)
    rows = []
    for scene in sorted(scenes.glob("*.photo.png")):
        photo = folder / f"{scene.name.split('.')[0]}.jpg"
        pyvips.Image.new_from_file(str(scene)).jpegsave(str(photo), Q=95)
        found: dict[str, list[tuple[Watched, dict[str, Any]]]] = {name: [] for name in sources}
        for _ in range(rounds):
            for name, source in sources.items():
                line = ["deblur", str(photo), "-o", str(folder / f"{name}.jpg"), "--json", "--overwrite"]
                found[name].append(run(line, source, folder / name))
        row: dict[str, Any] = {"scene": photo.stem}
        for name, runs in found.items():
            row[name] = {
                "seconds": [round(took.seconds, 2) for took, _ in runs],
                "processor_seconds": [round(took.computed, 2) for took, _ in runs],
                "peak_mb": max(took.peak_mb or 0 for took, _ in runs),
                "scales": runs[0][1]["scales"],
                "precision": runs[0][1]["engine"]["precision"],
            }
        pairs = [(slow[0], fast[0]) for slow, fast in zip(found["before"], found["after"], strict=True)]
        row["times_faster"] = round(statistics.median(slow.seconds / fast.seconds for slow, fast in pairs), 2)
        row["times_less_computed"] = round(statistics.median(slow.computed / fast.computed for slow, fast in pairs), 2)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def megapixel(photo: Path, rounds: int, folder: Path) -> dict[str, Any]:
    """Start to exit with a warm cache."""
    picture = pyvips.Image.new_from_file(str(photo)).colourspace("srgb")[:3]
    picture = picture.resize((1e6 / picture.width / picture.height) ** 0.5).cast("uchar")
    source = folder / "megapixel.jpg"
    picture.jpegsave(str(source), Q=95)
    line = ["deblur", str(source), "-o", str(folder / "out.jpg"), "--json", "--overwrite"]
    runs = [run(line, HERE, folder / "after") for _ in range(rounds + 1)]
    version = [run(["--version"], HERE, folder / "after")[0].seconds for _ in range(rounds)]
    return {
        "size": f"{picture.width}x{picture.height}",
        "first_seconds": round(runs[0][0].seconds, 3),
        "warm_seconds": [round(took.seconds, 3) for took, _ in runs[1:]],
        "median_seconds": round(statistics.median(took.seconds for took, _ in runs[1:]), 3),
        "processor_seconds": round(statistics.median(took.computed for took, _ in runs[1:]), 3),
        "precision": runs[0][1]["engine"]["precision"],
        "version_seconds": [round(one, 3) for one in version],
        "median_version_seconds": round(statistics.median(version), 3),
    }


class Idle:
    """An engine that finds nothing to do: what reaches the network does not depend on what it says."""

    redone = 0
    info = EngineInfo("idle", "CPU", "float32", "idle")

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """Zeros."""
        side = find("ifan-fast").card.multiple
        return Estimate(
            np.zeros_like(batch), np.zeros((1, 1, batch.shape[2] // side, batch.shape[3] // side), np.float32)
        )


def restored(photo: Photo, engine: Engine, *, everything: bool) -> Restored:
    """Through the pipeline; with everything, tiles in focus are computed too."""
    return finish(restore(photo, engine, find("ifan-fast").card, Settings(with_map=everything)))


def share(photos: list[Path], scenes: Path) -> dict[str, Any]:
    """Pixels that the network sees, of those that it saw when every tile was computed; and what that changes."""
    engine = choose(find("ifan-fast"))
    rows = []
    for path in [*photos, *sorted(scenes.glob("*.photo.png"))]:
        photo = decode(path)
        seen = [restored(photo, Idle(), everything=everything) for everything in (False, True)]
        row: dict[str, Any] = {
            "photo": path.name.split(".")[0],
            "left_out": round(1 - seen[0].seen_px / seen[1].seen_px, 4),
        }
        if path in photos:
            box = Box(0, 0, photo.width, photo.height)
            cut, whole = (restored(photo, engine, everything=every).canvas.read(box) for every in (False, True))
            row["largest_change_levels"] = round(float(np.abs(cut.astype(float) - whole).max() / photo.peak * 255), 3)
        rows.append(row)
    means = {kind: [row["left_out"] for row in rows if ("largest_change_levels" in row) == real] for kind, real in
             (("real_photos", True), ("simulated_24_megapixels", False))}  # fmt: skip
    return {
        "what": "share of the network's pixels left out; largest change of any pixel by it, in grey levels of 255",
        "mean_left_out": {kind: round(statistics.mean(values), 4) for kind, values in means.items() if values},
        "largest_change_levels": max((row.get("largest_change_levels", 0.0) for row in rows), default=0.0),
        "rows": rows,
    }


def main() -> None:
    """Measure the parts asked for, one after the other, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--before", type=Path, help="checkout of the code to compare with")
    parser.add_argument("--only", nargs="*", default=["megapixel", "large", "network", "share"])
    parser.add_argument("--rounds", type=int, help=f"[large 2, megapixel 5, network {NETWORK_ROUNDS}]")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=(WIDTH, HEIGHT), help="for the network"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/speed.json"))
    options = parser.parse_args()
    photos = sorted(path for path in options.photos.iterdir() if path.is_file())
    report: dict[str, Any] = {
        "processor": {"name": Processor.here().name, "features": Processor.here().features},
        "threads": Processor.here().threads,
        "load_average_before": [round(one, 2) for one in os.getloadavg()],
        "weights": {name: find(name).card.sha256 for name in ("ifan", "ifan-fast")},
    }
    with tempfile.TemporaryDirectory() as folder:
        parts: dict[str, Callable[[], object]] = {
            "megapixel": lambda: megapixel(photos[0], options.rounds or 5, Path(folder)),
            "large": lambda: large(options.scenes, options.before, options.rounds or 2, Path(folder)),
            "network": lambda: network(options.rounds or NETWORK_ROUNDS, *options.size),
            "share": lambda: share(photos, options.scenes),
        }
        for name in options.only:
            report[name] = parts[name]()
            print(name, json.dumps(report[name])[:600], flush=True)
            write_json(options.output, report)


if __name__ == "__main__":
    main()
