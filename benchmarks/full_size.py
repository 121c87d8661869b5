"""What full size adds where half size has already worked, and half size to a quarter, by blur radius.

    python benchmarks/full_size.py --scenes DIR --pairs DIR... -o results/full_size.ifan-fast.json

DIR of --scenes is the scratch folder of benchmarks/large_photos.py. Each scene goes through the pipeline four times:
with full size everywhere, ending at half size, and as it is (`scales.BEYOND_FULL_SIZE_PX`). Scored is PSNR against the
sharp scene, over cells of 64 px by the radius that is measured there at half size, and over the whole; and how many
values change by more than a grey level. Ending at a quarter tells what half size adds to that, by the radius that is
measured at a quarter, and what the scene would lose without half size from a radius on. Of --pairs, folders with source
and target, those photos are scored (PSNR-fit) that are worked on at half size at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from allfocus import restore as pipeline
from allfocus import scales
from allfocus.atomic_file import write_json
from allfocus.defocus.measure import local_radius_px, measure_blur
from allfocus.engine.base import Engine
from allfocus.engine.choose import choose
from allfocus.metrics.psnr import psnr_fit
from allfocus.photo.codecs import decode
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box
from allfocus.restore import Settings, finish, restore
from allfocus.weights.store import find

CELL_PX = 64
EDGES_PX = (0, 2, 4, 6, 8, 12, 16, 24, 40)
EVERYWHERE = {4: (1e9, 2e9), 2: (1e9, 2e9)}
STRIP_ROWS = 256


@contextmanager
def full_size_everywhere() -> Iterator[None]:
    """The pipeline without the rule."""
    kept = dict(scales.BEYOND_FULL_SIZE_PX)
    scales.BEYOND_FULL_SIZE_PX.update(EVERYWHERE)
    try:
        yield
    finally:
        scales.BEYOND_FULL_SIZE_PX.update(kept)


@contextmanager
def ending_at_a_quarter() -> Iterator[None]:
    """The pipeline at a quarter of the size alone."""
    kept = pipeline.choose_scales
    pipeline.choose_scales = lambda *_: (4,)
    try:
        yield
    finally:
        pipeline.choose_scales = kept


RUNS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "everywhere": full_size_everywhere,
    "half": nullcontext,
    "now": nullcontext,
    "quarter": ending_at_a_quarter,
}


def outcomes(
    photo: Photo, engine: Engine, model: str, names: Iterable[str] = ("everywhere", "half", "now")
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Pixels (H, W, 3) in the photo's own depth and megapixels seen, of some of the runs."""
    pixels, seen = {}, {}
    for name in names:
        steps = restore(photo, engine, find(model).card, Settings(finest=2 if name == "half" else 1))
        with RUNS[name]():
            done = finish(steps)
        with done.canvas as canvas:
            pixels[name] = canvas.read(Box(0, 0, photo.width, photo.height))
        seen[name] = round(done.seen_px / 1e6, 2)
    return pixels, seen


def cells(values: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of (H, W), those that are cut at the right and at the bottom left out."""
    height, width = (size // side * side for size in values.shape)
    return values[:height, :width].reshape(height // side, side, width // side, side).mean(axis=(1, 3))


def errors(found: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """Mean squared error of each cell, in [0, 1]."""
    rows = []
    for y in range(0, found.shape[0] // CELL_PX * CELL_PX, CELL_PX):
        strip = (found[y : y + CELL_PX].astype(np.float32) - sharp[y : y + CELL_PX]) / 255
        rows.append(cells(np.square(strip).mean(axis=2), CELL_PX))
    return np.concatenate(rows)


def decibel(error: np.ndarray) -> float:
    """PSNR of all squared errors together."""
    return float(-10 * np.log10(error.mean()))


def scene(path: Path, engine: Engine, model: str) -> dict[str, Any]:
    """A simulated photo of 24 megapixels against its sharp scene."""
    photo = decode(path)
    sharp = pyvips.Image.new_from_file(str(path).replace(".photo.", ".sharp.")).numpy()
    pixels, seen = outcomes(photo, engine, model, RUNS)
    radius_px, at_a_quarter_px = (radius_at(photo, scale) for scale in (2, 4))
    found = {name: errors(one, sharp) for name, one in pixels.items()}
    rows = []
    for low, high in zip(EDGES_PX, (*EDGES_PX[1:], np.inf), strict=True):
        here = (radius_px >= low) & (radius_px < high)
        if here.sum() < 10:
            continue
        gained = {name: round(decibel(one[here]) - decibel(found["half"][here]), 3) for name, one in found.items()}
        rows.append({"radius_px": [low, None if high == np.inf else high], "cells": int(here.sum()),
                     "over_half_size_db": {"everywhere": gained["everywhere"], "now": gained["now"]}})  # fmt: skip
    change = np.abs(pixels["now"].astype(np.int16) - pixels["everywhere"])
    return {
        "scene": path.name.split(".")[0],
        "megapixels_seen": seen,
        "psnr_db": {name: round(decibel(one), 3) for name, one in found.items()},
        "changed": {
            "by_more_than_a_level": round(float((change > 1).mean()), 4),
            "mean_levels": round(float(change.mean()), 3),
            "levels_999_of_1000_stay_below": int(np.quantile(change, 0.999)),
        },
        "rows": rows,
        "half_over_quarter": half_over_quarter(found, at_a_quarter_px),
    }


def radius_at(photo: Photo, scale: int) -> np.ndarray:
    """The radius of each cell in px of the photo, measured at a scale."""
    reader = photo.unit(scale)
    return scale * cells(local_radius_px(reader.read(Box(0, 0, reader.width, reader.height))), CELL_PX // scale)


def half_over_quarter(found: dict[str, np.ndarray], radius_px: np.ndarray) -> list[dict[str, Any]]:
    """What half size adds to a quarter by radius, and what the scene loses without half size from there on."""
    rows = []
    for low, high in zip(EDGES_PX, (*EDGES_PX[1:], np.inf), strict=True):
        here, beyond = (radius_px >= low) & (radius_px < high), radius_px >= low
        if here.sum() < 10:
            continue
        half, quarter = found["half"], found["quarter"]
        rows.append({
            "radius_px": [low, None if high == np.inf else high],
            "cells": int(here.sum()),
            "gain_db": round(decibel(half[here]) - decibel(quarter[here]), 3),
            "scene_without_it_from_here_on_db": round(decibel(np.where(beyond, quarter, half)) - decibel(half), 4),
        })  # fmt: skip
    return rows


def pair(path: Path, target: Path, engine: Engine, model: str) -> dict[str, Any] | None:
    """A real photo that is worked on at half size and full size; None for others."""
    photo = decode(path)
    used = scales.choose_scales("auto", photo.width, photo.height, measure_blur(photo))
    if len(used) == 1:
        return None
    pixels, seen = outcomes(photo, engine, model)
    wanted = pyvips.Image.new_from_file(str(target)).colourspace("srgb")[:3].cast("uchar").numpy() / 255
    return {
        "photo": path.stem,
        "scales": list(used),
        "megapixels_seen": seen,
        "psnr_fit_db": {name: round(psnr_fit(one / photo.peak, wanted), 3) for name, one in pixels.items()},
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/full_size.ifan-fast.json"))
    options = parser.parse_args()
    engine = choose(find(options.model))
    report: dict[str, Any] = {
        "what": "what full size adds where half size has worked, by blur radius, and what leaving it out changes",
        "model": options.model,
        "sha256": find(options.model).card.sha256,
        "precision": engine.info.precision,
        "left_out_from_px": {str(scale): between for scale, between in scales.BEYOND_FULL_SIZE_PX.items()},
        "scenes": [],
        "pairs": {},
    }
    for path in sorted(options.scenes.glob("*.photo.png")):
        report["scenes"].append(scene(path, engine, options.model))
        print(report["scenes"][-1], flush=True)
        write_json(options.output, report)
    for folder in options.pairs:
        targets = {path.stem: path for path in (folder / "target").iterdir()}
        found = [
            pair(path, targets[path.stem], engine, options.model) for path in sorted((folder / "source").iterdir())
        ]
        report["pairs"][folder.name] = {"photos": len(found), "rows": [row for row in found if row is not None]}
        print(folder.name, report["pairs"][folder.name], flush=True)
        write_json(options.output, report)


if __name__ == "__main__":
    main()
