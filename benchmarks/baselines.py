"""How long do EBDB and JNB take on one megapixel, and how well do they tell a known blur?

    python benchmarks/baselines.py [-o results/baselines.json]

Speed: a photo of 1024x1024 px through map and deconvolution on the cores at hand; the first run, which
may compile, apart.
Accuracy: scikit-image's photos blurred from 0 on the left to 4 px on the right, by a Gaussian and by the disc of the
same variance; Spearman's correlation, and bias over textured places, by sigma.
Deconvolution: the same photos made sharp with their true maps, each pixel from its own level ("hard", as in the
comparison) or from the two around it ("blend").
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.atomic_file import write_text
from allfocus.baselines.deconvolution import Prior, deblur
from allfocus.baselines.loops import available_threads
from allfocus.baselines.registry import METHODS, load
from allfocus.evaluate.measure import machine
from allfocus.metrics import psnr

SIDE_PX, REPEATS = 1024, 2
LIMITS_S = {"ebdb": 30.0, "jnb": 60.0}
BANDS_PX = ((0.0, 0.5), (0.5, 1.5), (1.5, 2.5), (2.5, 3.5), (3.5, 4.0))


def known_blur() -> Any:
    """The photos of known blur that the tests use."""
    path = Path(__file__).parents[1] / "tests" / "baselines" / "conftest.py"
    spec = spec_from_file_location("known_blur", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["known_blur"] = module
    spec.loader.exec_module(module)
    return module


def square(rgb: np.ndarray, side: int) -> np.ndarray:
    """The photo mirrored until it covers a square."""
    rows, columns = (-(-side // n) for n in rgb.shape[:2])
    doubled = np.concatenate([rgb, rgb[::-1]] * rows)[:side]
    return np.ascontiguousarray(np.concatenate([doubled, doubled[:, ::-1]] * columns, axis=1)[:, :side])


def speed(name: str, rgb: np.ndarray) -> dict[str, object]:
    """Seconds of wall time, and of processor time, which other work on the machine does not lengthen."""
    runs = []
    for _ in range(1 + REPEATS):
        wall, busy = time.perf_counter(), time.process_time()
        sigma_px = load(name).defocus_map(rgb) / 2
        mapped, mapped_busy = time.perf_counter(), time.process_time()
        deblur(rgb, sigma_px, Prior())
        runs.append(
            {
                "map_s": mapped - wall,
                "deconvolution_s": time.perf_counter() - mapped,
                "map_cpu_s": mapped_busy - busy,
                "deconvolution_cpu_s": time.process_time() - mapped_busy,
            }
        )
    best = {key: round(min(run[key] for run in runs[1:]), 2) for key in runs[0]}
    total = min(run["map_s"] + run["deconvolution_s"] for run in runs[1:])
    first = runs[0]["map_s"] + runs[0]["deconvolution_s"]
    return {**best, "total_s": round(total, 2), "first_run_s": round(first, 2), "limit_s": LIMITS_S[name]}


def accuracy(name: str, photos: list[Any]) -> dict[str, object]:
    """Correlation and bias of a map over textured places of photos of known blur."""
    rows, errors, true = [], [], []
    for known in photos:
        found = load(name).defocus_map(known.rgb) / 2  # sigma
        correlation, bias = known.score(found)
        rows.append({"photo": known.name, "spearman": round(correlation, 3), "bias_px": round(bias, 2)})
        errors.append((found - known.sigma_px)[known.textured])
        true.append(known.sigma_px[known.textured])
    error, sigma_px = np.concatenate(errors), np.concatenate(true)
    bands = {f"{a:g} to {b:g}": round(float(error[(sigma_px >= a) & (sigma_px <= b)].mean()), 2) for a, b in BANDS_PX}
    return {
        "spearman_mean": round(float(np.mean([row["spearman"] for row in rows])), 3),
        "bias_px_mean": round(float(np.mean([row["bias_px"] for row in rows])), 2),
        "bias_px_by_sigma_px": bands,
        "photos": rows,
    }


def selection(photos: list[Any]) -> dict[str, object]:
    """PSNR against the sharp photos, in dB, before and after deconvolution with the true map."""
    rows = []
    for known in photos:
        row = {"photo": known.name, "blurred_db": psnr(known.rgb, known.sharp)}
        for name in ("hard", "blend"):
            row[f"{name}_db"] = psnr(deblur(known.rgb, known.sigma_px, Prior(), name), known.sharp)
        rows.append(row)
    names = [name for name in rows[0] if name != "photo"]
    means = {name: round(float(np.mean([row[name] for row in rows])), 2) for name in names}
    return {**means, "photos": [{**row, **{name: round(row[name], 2) for name in names}} for row in rows]}


def main() -> None:
    """Measure and print, or write, one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--side", type=int, default=SIDE_PX, help="of the photo whose time is taken, in px")
    parser.add_argument("--photos", type=int, help="how many of the photos of known blur; all when left out")
    parser.add_argument("--speed-only", action="store_true", help="keep the accuracy that the output file holds")
    options = parser.parse_args()
    known = known_blur()
    photo = square(known.ramp("astronaut.png", known.sharp_photo("astronaut.png"), "gaussian").rgb, options.side)
    methods = [name for name in METHODS if name in LIMITS_S]
    result: dict[str, object] = {
        "conditions": {
            **machine(),
            "threads": available_threads(),
            "photo": f"astronaut (scikit-image), blurred 0 to 4 px, mirrored to {options.side}x{options.side}",
            "load_average_before": round(os.getloadavg()[0], 2),
            "repeats": REPEATS,
            "note": "best of the repeats; cpu_s is the process's own processor time over all its threads",
        },
        "speed": {name: speed(name, photo) for name in methods},
    }
    if not options.speed_only:
        photos = {
            shape: [known.ramp(name, known.sharp_photo(name), shape) for name in known.PHOTOS[: options.photos]]
            for shape in ("gaussian", "disc")
        }
        result["deconvolution"] = selection(photos["gaussian"])
        result["accuracy"] = {name: {shape: accuracy(name, photos[shape]) for shape in photos} for name in methods}
    elif options.output is not None and options.output.is_file():
        kept = json.loads(options.output.read_text(encoding="utf-8"))
        result |= {name: kept[name] for name in ("deconvolution", "accuracy") if name in kept}
    text = json.dumps(result, indent=2) + "\n"
    if options.output is None:
        print(text)
        return
    write_text(options.output, text)


if __name__ == "__main__":
    main()
