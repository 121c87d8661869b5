"""Draws the pictures of docs/simulator.md: python docs/simulator/pictures.py (needs scikit-image for its photos)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyvips
import skimage
import torch

from allfocus.simulate import Lens, PhotoPool, SceneConfig, Sensor, Simulator, SimulatorConfig, Surface, render
from allfocus.simulate import reference as exact
from allfocus.simulate.drawings import draw_print, line
from allfocus.simulate.preview import blur_colours
from allfocus.simulate.psf import kernels
from allfocus.simulate.render import render_without_occlusion
from allfocus.simulate.sensor import (
    develop,
    display_from_linear,
    enlarged,
    expose,
    jpeg,
    linear_from_display,
    reduced,
)

HERE = Path(__file__).parent
PHOTOS = Path(skimage.__file__).parent / "data"
CANVAS, SIDE = 224, 160
MARGIN = (CANVAS - SIDE) // 2
LENS = Lens(edge_px=0.35)


def main() -> None:
    torch.set_num_threads(1)
    pool = PhotoPool([PHOTOS / name for name in ("coffee.png", "chelsea.png", "astronaut.png", "rocket.jpg")])
    save("quadruple", quadruple(pool))
    save("modes", modes(pool))
    save("prints", prints(pool))
    save("radius", [radius(pool, px) for px in (0.0, 3.0, 6.0, 12.0, 20.0)])
    save("lens", pupils())
    save("split", splits(pool))
    save("occlusion", occlusion(pool))
    save("light", light(pool))
    save("sensor", sensors(pool))


def photo(pool: PhotoPool, index: int, top: int, left: int, size: int = CANVAS) -> torch.Tensor:
    """A square of a photo, display-referred float32 (3, size, size)."""
    return pool.photo(index)[:, top : top + size, left : left + size].float() / 255.0


def cut(linear: torch.Tensor) -> np.ndarray:
    """The middle of a linear picture (3, N, N), developed: uint8 (side, side, 3)."""
    middle = linear[:, MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]
    return codes(display_from_linear(middle.clamp(0.0, 1.0)))


def codes(display: torch.Tensor) -> np.ndarray:
    return (display.clamp(0.0, 1.0) * 255.0).round().byte().permute(1, 2, 0).numpy()


def flat(texture: torch.Tensor, coc_px: float, alpha: torch.Tensor | None = None) -> Surface:
    return Surface(texture, alpha, torch.full((CANVAS, CANVAS), coc_px))


def quadruple(pool: PhotoPool) -> list[tuple[str, np.ndarray]]:
    config = SimulatorConfig(
        crop_px=SIDE,
        scene=SceneConfig(composite=1.0, single=0.0, plane=0.0, identity=0.0, grey_chance=0.0, permute_chance=0.0),
    )
    sample = Simulator(config, pool).sample([11])
    coc_px, valid = sample.coc[0, 0].numpy(), sample.valid[0, 0].numpy()
    difference = (sample.left - sample.right)[0].mean(dim=0, keepdim=True).expand(3, -1, -1) + 0.5
    return [
        ("centre", codes(sample.centre[0])),
        ("sharp", codes(sample.sharp[0])),
        ("left - right", codes(difference)),
        ("coc", blur_colours(coc_px, np.ones_like(valid))),
        ("coc where valid", blur_colours(coc_px, valid)),
    ]


def modes(pool: PhotoPool) -> list[tuple[str, np.ndarray]]:
    tiles = []
    for mode, seed in (("composite", 3), ("single", 5), ("plane", 2), ("identity", 1)):
        weights = {name: float(name == mode) for name in ("composite", "single", "plane", "identity")}
        scene = SceneConfig(**weights, grey_chance=0.0, permute_chance=0.0)
        sample = Simulator(SimulatorConfig(crop_px=SIDE, scene=scene), pool).sample([seed])
        colours = blur_colours(sample.coc[0, 0].numpy(), np.ones((SIDE, SIDE), bool))
        tiles += [(mode, codes(sample.centre[0])), ("its blur", colours)]
    return tiles


def prints(pool: PhotoPool) -> list[tuple[str, np.ndarray]]:
    """Printed matter on plain paper and on photos, some of it out of focus."""
    tiles = []
    for seed, coc_px in ((1, 0.0), (7, 0.0), (6, 0.0), (7, 2.5), (6, 4.0)):
        texture, kind = draw_print(np.random.default_rng(seed), photo(pool, 0, 60, 180))
        label = kind if coc_px == 0.0 else f"{kind}, r = {coc_px:.1f} px"
        tiles.append((label, cut(render((flat(linear_from_display(texture), coc_px),), LENS).mean(dim=0))))
    return tiles


def radius(pool: PhotoPool, coc_px: float) -> tuple[str, np.ndarray]:
    texture = linear_from_display(photo(pool, 0, 60, 180))
    return f"r = {coc_px:.0f} px", cut(render((flat(texture, coc_px),), LENS).mean(dim=0))


def pupils() -> list[tuple[str, np.ndarray]]:
    corner = {"field_x": 0.6, "field_y": -0.4}
    shown = {
        "disc": (LENS, 17.0),
        "5 blades": (replace(LENS, blades=5, blades_curvature=0.3), 17.0),
        "cats eye": (replace(LENS, cats_eye_shift=0.6, **corner), 17.0),
        "ring behind": (replace(LENS, ring=0.4), 17.0),
        "ring before": (replace(LENS, ring=0.4), -17.0),
        "edge share .1": (replace(LENS, edge_share=0.1), 17.0),
        "gaussian": (replace(LENS, profile="gaussian"), 17.0),
    }
    tiles = []
    for name, (lens, coc_px) in shown.items():
        point = torch.zeros(3, CANVAS, CANVAS)
        point[:, CANVAS // 2, CANVAS // 2] = 1.0
        views = render((flat(point, coc_px),), lens)
        middle = slice(CANVAS // 2 - 24, CANVAS // 2 + 25)
        scaled = views[:, :, middle, middle] / views[:, :, middle, middle].amax() * 0.95
        enlarged = torch.nn.functional.interpolate(scaled, scale_factor=2, mode="bilinear")
        tiles += [(name, codes(enlarged.mean(dim=0)))]
    left, right = kernels(Lens(kappa=0.8), 24.0)
    for name, view in (("left view", left), ("right view", right)):
        tiles.append(
            (name, codes(torch.nn.functional.interpolate((view / view.amax()).expand(1, 3, -1, -1), size=(98, 98))[0]))
        )
    return tiles


def splits(pool: PhotoPool) -> list[tuple[str, np.ndarray]]:
    texture = linear_from_display(photo(pool, 1, 30, 120))
    tiles = []
    for kappa in (0.0, 0.6, 0.8, 1.0):
        left, right = render((flat(texture, 10.0),), replace(LENS, kappa=kappa))
        difference = display_from_linear(left.clamp(0, 1)) - display_from_linear(right.clamp(0, 1))
        middle = difference[:, MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE].mean(dim=0, keepdim=True)
        tiles.append((f"kappa {kappa:.1f}", codes(middle.expand(3, -1, -1) * 1.5 + 0.5)))
    return tiles


def occlusion(pool: PhotoPool) -> list[tuple[str, np.ndarray]]:
    back, front = linear_from_display(photo(pool, 3, 100, 200)), linear_from_display(photo(pool, 2, 20, 120))
    axis = torch.arange(CANVAS) - CANVAS / 2.0
    alpha = (55.0 - torch.hypot(axis[None] + 20.0, axis[:, None] - 15.0) + 0.5).clamp(0.0, 1.0)
    tiles = []
    for name, far, near in (("behind", 12.0, 0.0), ("before", 0.0, -12.0)):
        surfaces = (flat(back, far), flat(front, near, alpha))
        tiles.append((f"blur {name}", cut(render(surfaces, LENS).mean(dim=0))))
        tiles.append(("reference", cut(exact.render(surfaces, Lens(), samples=200).mean(dim=0).float())))
        tiles.append(("no occlusion", cut(render_without_occlusion(surfaces, LENS).mean(dim=0))))
    return tiles


def light(pool: PhotoPool) -> list[tuple[str, np.ndarray]]:
    display = photo(pool, 0, 20, 120)
    excess = ((display.amax(dim=0) - 0.85) / 0.15).clamp_min(0.0) ** 2
    linear = linear_from_display(display)
    tiles = [("sharp", cut(linear))]
    for gain in (0.0, 4.0):
        tiles.append(
            (
                f"highlights x{1 + gain:.0f}",
                cut(render((flat(linear * (1.0 + gain * excess), 10.0),), LENS).mean(dim=0)),
            )
        )
    blurred = render((flat(display, 10.0),), LENS).mean(dim=0)
    tiles.append(("blurred in srgb", cut(linear_from_display(blurred.clamp(0.0, 1.0)))))
    return tiles


def sensors(pool: PhotoPool) -> list[tuple[str, np.ndarray]]:
    texture = linear_from_display(photo(pool, 1, 40, 150))
    views = render((flat(texture, 3.0),), LENS)[..., MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]
    shown = {
        "clean": Sensor(),
        "shot 3e-4": Sensor(shot=3e-4, read_variance=7e-8),
        "shot 6e-3": Sensor(shot=6e-3, read_variance=5e-5),
        "mosaic": Sensor(mosaic=True, red_gain=2.1, blue_gain=1.7, shot=1e-3, read_variance=1e-6),
        "contrast .7": Sensor(contrast=0.7),
        "sharpen .8": Sensor(sharpen_amount=0.8),
        "exposure -1": Sensor(exposure=0.5),
        "jpeg 40": Sensor(jpeg_quality=40),
        "shot 6e-3 / 4": Sensor(shot=6e-3, read_variance=5e-5),
        "jpeg 40 / 2": Sensor(jpeg_quality=40),
    }
    tiles = []
    for name, sensor in shown.items():
        times = int(name.partition("/")[2] or 1)
        centre = expose(enlarged(views, times), sensor, np.random.default_rng(0)).mean(dim=0, keepdim=True)
        display = develop(centre, sensor)[0]
        coded = jpeg(display, sensor.jpeg_quality) if sensor.jpeg_quality else display
        tiles.append((name, codes(reduced(coded[None], times)[0])))
    return tiles


def save(name: str, tiles: Sequence[tuple[str, np.ndarray]], most: int = 5) -> None:
    """Lay labelled tiles out in rows and write them as a small JPEG."""
    rows = -(-len(tiles) // most)
    columns = -(-len(tiles) // rows)
    side = tiles[0][1].shape[0]
    sheet = np.full((rows * (side + 15) + 2, columns * (side + 3) - 3, 3), 255, np.uint8)
    for number, (label, tile) in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = row * (side + 15), column * (side + 3)
        ink = line(label)[:, :side] > 0.0
        sheet[top + 3 : top + 3 + ink.shape[0], left : left + ink.shape[1]][ink] = 40
        sheet[top + 13 : top + 13 + side, left : left + side] = tile[:side, :side]
    pyvips.Image.new_from_array(sheet, interpretation="srgb").jpegsave(str(HERE / f"{name}.jpg"), Q=80)
    print(f"{name}.jpg {sheet.shape[1]} x {sheet.shape[0]}")


if __name__ == "__main__":
    main()
