"""What each `--speed` costs and what it brings: real photos, and one simulated photo of 24 megapixels.

    python benchmarks/speed_choices.py --data DIR --lpips DIR --scene DIR/NAME -o benchmarks/speed_choices.json

DIR of --data is real-val; DIR/NAME.photo.png and DIR/NAME.sharp.png are from the scratch folder of
benchmarks/large_photos.py. Engines are loaded and warm; photos go from array to array.
"""

from __future__ import annotations

import argparse
import os
import time
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
from allfocus.restore import Settings
from allfocus.speeds import SPEEDS


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3) uint8."""
    photo = decode(path)
    array = photo.read(Box(0, 0, photo.width, photo.height))
    return array if array.dtype == np.uint8 else np.rint(array / photo.peak * 255).astype(np.uint8)


def real(folder: Path, deblurrers: dict[str, Deblurrer], lpips: LPIPS) -> dict[str, Any]:
    """Means over a set of pairs, of the photos as they are and of each choice."""
    targets = {path.stem: path for path in (folder / "target").iterdir()}
    scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ("photo", *deblurrers)}
    for path in sorted((folder / "source").iterdir()):
        photo, target = pixels(path), pixels(targets[path.stem]) / 255.0
        for name in scores:
            started = time.perf_counter()
            output = photo if name == "photo" else run(deblurrers[name], name, photo)
            seconds = (time.perf_counter() - started) / (photo.shape[0] * photo.shape[1] / 1e6)
            scores[name].append((psnr_fit(output / 255.0, target), lpips(output / 255.0, target), seconds))
    return {
        name: {
            "psnr_fit": round(float(np.mean([row[0] for row in rows])), 3),
            "lpips": round(float(np.mean([row[1] for row in rows])), 4),
            "seconds_per_megapixel": round(float(np.median([row[2] for row in rows])), 3),
        }
        for name, rows in scores.items()
    }


def large(scene: Path, deblurrers: dict[str, Deblurrer]) -> dict[str, Any]:
    """PSNR against the sharp scene, and seconds."""
    photo = pixels(scene.with_name(f"{scene.name}.photo.png"))
    sharp = pixels(scene.with_name(f"{scene.name}.sharp.png")).astype(np.float32) / 255
    found: dict[str, Any] = {"photo": {"psnr": round(psnr(photo.astype(np.float32) / 255, sharp), 3)}}
    for name, deblurrer in deblurrers.items():
        started = time.perf_counter()
        output = run(deblurrer, name, photo)
        seconds = time.perf_counter() - started
        found[name] = {
            "psnr": round(psnr(output.astype(np.float32) / 255, sharp), 3),
            "seconds": round(seconds, 2),
        }
    return found


def run(deblurrer: Deblurrer, speed: str, photo: np.ndarray) -> np.ndarray:
    """One photo with the settings of a choice."""
    return np.asarray(deblurrer.run(photo, settings=SPEEDS[speed].settings(Settings())).output)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lpips", type=Path, required=True)
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/speed_choices.json"))
    options = parser.parse_args()
    load = [round(one, 2) for one in os.getloadavg()]
    by_model = {speed.model: Deblurrer(speed.model).loaded() for speed in SPEEDS.values()}
    deblurrers = {name: by_model[speed.model] for name, speed in SPEEDS.items()}
    for deblurrer in by_model.values():
        deblurrer.run(np.zeros((256, 256, 3), np.uint8))
    report = {
        "processor": {"name": Processor.here().name, "features": Processor.here().features},
        "load_average_before": load,
        "models": {name: one.model.card.sha256 for name, one in by_model.items()},
        "precision": {name: one.engine.info.precision for name, one in deblurrers.items()},
        options.data.name: real(options.data, deblurrers, LPIPS(options.lpips)),
        "scene": {"name": options.scene.name, **large(options.scene, deblurrers)},
    }
    write_json(options.output, report)
    print(report)


if __name__ == "__main__":
    main()
