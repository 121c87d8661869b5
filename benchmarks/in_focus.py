"""What leaving soft texture alone amid what is in focus gains and loses, and what it saves (`scales.Texture`).

    python benchmarks/in_focus.py --scenes DIR --photos DIR --only src/allfocus/weights/held_out.txt

DIR of --scenes is the scratch folder of benchmarks/large_photos.py. Two more scenes of 3072x2048 px are rendered from
--photos that no weights were trained on, both with a background that is blurred by 45 px: a surface whose blur grows
from 0 to 4 px, and discs of 80 to 520 px that are blurred by 3 px before a surface in focus, what the rule might lose.
Each goes through the pipeline without the rule and with it; scored is PSNR against the sharp scene, in dB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from allfocus.atomic_file import write_json
from allfocus.defocus.measure import measure_blur
from allfocus.engine.base import Engine
from allfocus.engine.choose import choose
from allfocus.photo.codecs import decode
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box
from allfocus.restore import Settings, finish, restore
from allfocus.scales import Texture
from allfocus.weights.store import find
from full_size import errors
from large_photos import SHARP_PX, Layer, mosaic, render_scene

WIDTH, HEIGHT = 3072, 2048
BACKGROUND_PX, DISC_PX = 45.0, 3.0
SLOPE_PX = (0.0, 0.05, 0.4, 0.8, 1.2, 1.6, 2.4, 4.0)
DISCS = (40, 80, 120, 180, 260)  # radii in px
RUNS = ("without", "with")


@contextmanager
def everything_by_its_own_radius() -> Iterator[None]:
    """The pipeline without the rule."""
    kept = Texture.in_focus

    def nothing(self: Texture, cell_px: int, samples: int) -> np.ndarray:
        return np.zeros([size + 1 for size in self.sharp.shape], np.float32)

    Texture.in_focus = nothing
    try:
        yield
    finally:
        Texture.in_focus = kept


def outcomes(photo: Photo, engine: Engine, model: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Pixels (H, W, 3) and megapixels seen, without the rule and with it."""
    pixels, seen = {}, {}
    for name in RUNS:
        steps = restore(photo, engine, find(model).card, Settings(scale=4))
        if name == "with":
            done = finish(steps)
        else:
            with everything_by_its_own_radius():
                done = finish(steps)
        with done.canvas as canvas:
            pixels[name] = canvas.read(Box(0, 0, photo.width, photo.height))
        seen[name] = round(done.seen_px / 1e6, 2)
    return pixels, seen


def psnr_at(place: np.ndarray, pixels: np.ndarray, sharp: np.ndarray) -> float:
    """Over the pixels of a mask (H, W)."""
    error = (pixels[place].astype(np.float32) - sharp[place]) / 255
    return round(float(-10 * np.log10(max(np.square(error).mean(), 1e-10))), 3)


def large_scene(path: Path, engine: Engine, model: str) -> dict[str, Any]:
    """A simulated photo of 24 megapixels."""
    photo = decode(path)
    sharp, focus = (
        pyvips.Image.new_from_file(str(path).replace(".photo.", f".{kind}.")).numpy() for kind in ("sharp", "focus")
    )
    pixels, seen = outcomes(photo, engine, model)
    return {
        "scene": path.name.split(".")[0],
        "megapixels_seen": seen,
        "psnr_db": {name: round(float(-10 * np.log10(errors(one, sharp).mean())), 4) for name, one in pixels.items()},
        "in_focus_psnr_db": {name: psnr_at(focus.squeeze() > 0, one, sharp) for name, one in pixels.items()},
    }


def surfaces(photos: list[Path], width: int, height: int) -> dict[str, tuple[list[Layer], np.ndarray]]:
    """Name -> layers, back to front, and what is scored: radius of the blur, or of the disc; -1 elsewhere."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    flat = np.ones_like(x)
    near = np.clip(y - 0.45 * height, 0, 1)
    slope = np.clip((x / width - 0.1) / 0.9, 0, 1) * SLOPE_PX[-1]
    disc, size = np.zeros_like(x), -flat
    for column, radius in enumerate(DISCS):
        for row in range(2):
            away = np.hypot(x - width * (column + 0.5) / len(DISCS), y - height * (0.48 + 0.3 * row))
            disc = np.maximum(disc, np.clip(radius + 0.5 - away, 0, 1))
            size[away < radius - 2 * DISC_PX] = radius

    def wall(seed: int) -> np.ndarray:
        return mosaic(photos, seed, width, height)

    background = Layer(wall(11), None, BACKGROUND_PX * flat)
    return {
        "slope": (
            [background, Layer(wall(12), near, slope)],
            np.where(y > 0.45 * height + 2 * BACKGROUND_PX, slope, -1),
        ),
        "discs": (
            [background, Layer(wall(22), np.clip(y - 0.25 * height, 0, 1), 0 * flat),
             Layer(wall(23), disc, DISC_PX * flat)],
            size,
        ),
    }  # fmt: skip


def rendered(name: str, layers: list[Layer], place: np.ndarray, engine: Engine, model: str) -> dict[str, Any]:
    """One of `surfaces`, row by row."""
    photo, sharp, _ = render_scene(layers)
    pixels, seen = outcomes(decode(photo), engine, model)
    if name == "slope":
        parts = [((low, high), (place >= low) & (place < high)) for low, high in pairwise(SLOPE_PX)]
    else:
        parts = [(2 * radius, place == radius) for radius in DISCS]
    rows = [
        {"radius_px" if name == "slope" else "across_px": told,
         "psnr_db": {run: psnr_at(here, one, sharp) for run, one in {"photo": photo, **pixels}.items()}}
        for told, here in parts
    ]  # fmt: skip
    return {"scene": name, "megapixels_seen": seen, "rows": rows}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--only", type=Path, required=True, help="names of the photos to use")
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=(WIDTH, HEIGHT))
    parser.add_argument("-o", "--output", type=Path, default=Path("results/in_focus.ifan-fast.json"))
    options = parser.parse_args()
    engine = choose(find(options.model))
    report: dict[str, Any] = {
        "what": "soft texture amid what is in focus left alone: PSNR against the sharp scene, and megapixels seen",
        "model": options.model,
        "sha256": find(options.model).card.sha256,
        "precision": engine.info.precision,
        "scenes": [],
        "surfaces": [],
    }
    for path in sorted(options.scenes.glob("*.photo.png")):
        report["scenes"].append(large_scene(path, engine, options.model))
        print(report["scenes"][-1], flush=True)
    photos = [path for name in options.only.read_text().split() if (path := options.photos / name).is_file()]
    photos = [path for path in photos if measure_blur(decode(path)).large_px <= SHARP_PX]
    for name, (layers, place) in surfaces(photos, *options.size).items():
        report["surfaces"].append(rendered(name, layers, place, engine, options.model))
        print(report["surfaces"][-1], flush=True)
    write_json(options.output, report)


if __name__ == "__main__":
    main()
