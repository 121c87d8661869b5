"""What coarse to fine gains on 24-megapixel photos with blur radii of 20 to 60 px, and what it costs in focus.

    python benchmarks/large_photos.py --photos DIR --only src/allfocus/weights/held_out.txt --scratch DIR

Three scenes are rendered by the simulator from photos that no weights were trained on: a wall that recedes out of
focus, a sharp object before a blurred wall, and three planes. Each goes through the `allfocus deblur` command with
--scale auto and --scale 1; scored are PSNR against the sharp scene, and in focus (blur under half a pixel, no edge of
another depth within reach) PSNR against the input. Written to results/large_photos.ifan-fast.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
import torch

from allfocus.atomic_file import write_json
from allfocus.defocus.measure import measure_blur
from allfocus.engine.processor import Processor
from allfocus.metrics.psnr import psnr
from allfocus.photo.codecs import decode
from allfocus.simulate.lens import Lens
from allfocus.simulate.render import Surface, compose, render
from allfocus.simulate.sensor import display_from_linear, linear_from_display
from allfocus.weights.store import find

WIDTH, HEIGHT = 6000, 4000
BLOCK, MARGIN = 896, 64
ENLARGE = 1.5  # things in a photo of 24 megapixels are larger than in one of 512 px; more, and nothing is in focus
TILE = int(512 * ENLARGE)
NOISE = 0.004
SHARP_PX = 1.6  # photos with places softer than this are out of focus themselves
LENS = Lens(edge_px=0.35)


@dataclass(frozen=True)
class Layer:
    """A surface over the whole photo: display-referred uint8 (H, W, 3), alpha (H, W) or None, radius (H, W) px."""

    picture: np.ndarray
    alpha: np.ndarray | None
    coc_px: np.ndarray


def mosaic(photos: list[Path], seed: int, width: int, height: int) -> np.ndarray:
    """Photos side by side in random order, each mirrored at random: (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    images = [pyvips.Image.new_from_file(str(path)).colourspace("srgb")[:3] for path in photos]
    tiles = [image.resize(ENLARGE, kernel="lanczos3").numpy() for image in images]
    picture = np.empty((-(-height // TILE) * TILE, -(-width // TILE) * TILE, 3), np.uint8)
    for y in range(0, picture.shape[0], TILE):
        for x in range(0, picture.shape[1], TILE):
            tile = tiles[rng.integers(len(tiles))][:TILE, :TILE]
            picture[y : y + TILE, x : x + TILE] = tile[:, ::-1] if rng.random() < 0.5 else tile
    return picture[:height, :width]


def scenes(photos: list[Path], width: int = WIDTH, height: int = HEIGHT) -> dict[str, list[Layer]]:
    """Name -> layers, back to front."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = np.clip((x / width - 0.3) / 0.7, 0, 1) * 60
    disc = np.clip(0.275 * height + 0.5 - np.hypot(x - 0.35 * width, y - 0.55 * height), 0, 1)
    near = np.clip(y - 0.62 * height, 0, 1)
    middle = np.clip(0.42 * width - x + 300 * np.sin(y / 400), 0, 1)
    flat = np.ones_like(x)

    def wall(seed: int) -> np.ndarray:
        return mosaic(photos, seed, width, height)

    return {
        "receding-wall": [Layer(wall(1), None, ramp)],
        "object-before-wall": [Layer(wall(2), None, 40 * flat), Layer(wall(3), disc, 0 * flat)],
        "three-planes": [
            Layer(wall(4), None, 58 * flat),
            Layer(wall(5), middle, 24 * flat),
            Layer(wall(6), near, 0 * flat),
        ],
    }


def render_scene(layers: list[Layer]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Block by block: photo and sharp scene (H, W, 3) uint8, and the mask (H, W) of what is in focus."""
    height, width = layers[0].coc_px.shape
    photo, sharp = (np.empty((height, width, 3), np.uint8) for _ in range(2))
    focus = np.zeros((height, width), bool)
    noise = np.random.default_rng(0)
    for y in range(0, height, BLOCK):
        for x in range(0, width, BLOCK):
            rows = np.clip(np.arange(y - MARGIN, y + BLOCK + MARGIN), 0, height - 1)
            columns = np.clip(np.arange(x - MARGIN, x + BLOCK + MARGIN), 0, width - 1)
            surfaces = tuple(_surface(layer, rows, columns) for layer in layers)
            centre = render(surfaces, LENS, levels=8, object_levels=8).mean(dim=0)
            inside = slice(MARGIN, MARGIN + BLOCK)
            down, across = min(BLOCK, height - y), min(BLOCK, width - x)
            for linear, target in ((centre, photo), (compose(surfaces), sharp)):
                display = display_from_linear(linear.clamp(0, 1))[:, inside, inside].permute(1, 2, 0).numpy()
                if target is photo:
                    display = display + noise.normal(0, NOISE, display.shape)
                levels = np.rint(np.clip(display, 0, 1) * 255).astype(np.uint8)
                target[y : y + down, x : x + across] = levels[:down, :across]
            focus[y : y + down, x : x + across] = _in_focus(surfaces)[inside, inside][:down, :across]
    return photo, sharp, focus


def _surface(layer: Layer, rows: np.ndarray, columns: np.ndarray) -> Surface:
    cut = np.ix_(rows, columns)
    display = torch.from_numpy(layer.picture[cut].astype(np.float32) / 255).permute(2, 0, 1)
    alpha = None if layer.alpha is None else torch.from_numpy(layer.alpha[cut].astype(np.float32))
    return Surface(linear_from_display(display), alpha, torch.from_numpy(layer.coc_px[cut].astype(np.float32)))


def _in_focus(surfaces: tuple[Surface, ...]) -> np.ndarray:
    """Where the nearest surface is in focus and nothing blurred reaches."""
    visible = surfaces[0].coc_px
    for surface in surfaces[1:]:
        assert surface.alpha is not None
        visible = torch.where(surface.alpha > 0.5, surface.coc_px, visible)
    blurred = (visible.abs() > 0.5).float()[None, None]
    return (torch.nn.functional.max_pool2d(blurred, 9, 1, 4) == 0)[0, 0].numpy()


def deblurred(photo: Path, scale: str, folder: Path, options: list[str]) -> tuple[np.ndarray, dict[str, object]]:
    """The command's result on a photo and what it reported."""
    target = folder / f"{photo.stem}.{scale}.png"
    line = [sys.executable, "-m", "allfocus", "deblur", str(photo), "-o", str(target), "--scale", scale, "--json"]
    done = subprocess.run([*line, "--overwrite", *options], check=True, capture_output=True, text=True)
    return pyvips.Image.new_from_file(str(target)).numpy(), json.loads(done.stdout)


def main() -> None:
    """Render what is missing, restore, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--only", type=Path, help="names of the photos to use")
    parser.add_argument("--scratch", type=Path, required=True, help="rendered scenes are kept here")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=(WIDTH, HEIGHT))
    parser.add_argument("-o", "--output", type=Path, default=Path("results/large_photos.ifan-fast.json"))
    parser.add_argument("options", nargs="*", help="passed on to allfocus deblur, after --")
    arguments = parser.parse_args()
    names = arguments.only.read_text().split() if arguments.only else sorted(p.name for p in arguments.photos.iterdir())
    photos = [arguments.photos / name for name in names if (arguments.photos / name).is_file()]
    photos = [path for path in photos if measure_blur(decode(path)).large_px <= SHARP_PX]
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, layers in scenes(photos, *arguments.size).items():
        files = {kind: arguments.scratch / f"{name}.{kind}.png" for kind in ("photo", "sharp", "focus")}
        if not all(path.exists() for path in files.values()):
            for path, pixels in zip(files.values(), render_scene(layers), strict=True):
                levels = pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint8) * 255
                pyvips.Image.new_from_array(levels).pngsave(str(path), compression=1)
        photo, sharp, focus = (pyvips.Image.new_from_file(str(path)).numpy() for path in files.values())
        row: dict[str, object] = {"scene": name, "input_psnr": psnr(photo / 255.0, sharp / 255.0)}
        with tempfile.TemporaryDirectory() as folder:
            for scale in ("auto", "1"):
                restored, told = deblurred(files["photo"], scale, Path(folder), arguments.options)
                change = (restored[focus > 0].astype(float) - photo[focus > 0]) / 255
                row[f"scale_{scale}"] = {
                    "psnr": psnr(restored / 255.0, sharp / 255.0),
                    "in_focus_psnr_against_input": float(-10 * np.log10(max(np.mean(change**2), 1e-12))),
                    "scales": told["scales"],
                    "blur_px": told["blur_px"],
                    "seconds": told["seconds"],
                    "engine": told["engine"],
                }
        row["gain_auto_db"] = row["scale_auto"]["psnr"] - row["input_psnr"]  # type: ignore[index,operator]
        row["gain_1_db"] = row["scale_1"]["psnr"] - row["input_psnr"]  # type: ignore[index,operator]
        rows.append(row)
        print(json.dumps(row), flush=True)
    mean = {key: float(np.mean([row[key] for row in rows])) for key in ("gain_auto_db", "gain_1_db")}  # type: ignore[misc]
    model = rows[0]["scale_auto"]["engine"]["model"]  # type: ignore[index]
    record = {
        "photo": f"{arguments.size[0]}x{arguments.size[1]}, 8 bit, noise {NOISE}",
        "model": model,
        "sha256": find(model).card.sha256,
        "machine": Processor.here().name,
        "mean": mean,
        "rows": rows,
    }
    write_json(arguments.output, record)


if __name__ == "__main__":
    main()
