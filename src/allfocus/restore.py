"""The pipeline: a photo in, a sharp photo out, coarse to fine and tile by tile."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from allfocus import light
from allfocus.engine.base import Engine
from allfocus.errors import EngineMemoryError, OptionError
from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box, Tile, plan
from allfocus.residual import Residual
from allfocus.scale import Blur, choose_scales, measure_blur, needs_scale
from allfocus.weights.card import Card

OVERLAP_PX = 32
STRIP_ROWS = 256


@dataclass(frozen=True)
class Settings:
    """What a user may choose.

    Attributes:
        strength: 0 returns the photo, 1 adds the whole residual.
        scale: "auto", or the coarsest working scale 1, 2 or 4.
        tile: side of a tile in px; 0 chooses.
    """

    strength: float = 1.0
    scale: str | int = "auto"
    tile: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise OptionError(f"strength {self.strength}", "a number from 0 to 1", "--strength 1")
        if self.tile < 0:
            raise OptionError(f"tile {self.tile}", "a side in px, or 0", "--tile 0 for the automatic size")


@dataclass(frozen=True)
class Progress:
    """One tile is done: `done` of `total` at working scale `scale`."""

    scale: int
    done: int
    total: int


@dataclass(frozen=True)
class Restored:
    """The finished picture and how it came about.

    Attributes:
        canvas: pixels in the photo's own depth and bands.
        blur: what was measured before.
        scales: the working scales that were used, coarsest first.
        tile: side of the largest tile that was used, in px.
    """

    canvas: Canvas
    blur: Blur
    scales: tuple[int, ...]
    tile: int


def restore(photo: Photo, engine: Engine, card: Card, settings: Settings) -> Generator[Progress, None, Restored]:
    """Deblur a photo; yields after every tile, so that a caller can show progress or stop by closing the generator.

    Each scale looks at the photo with what the coarser scales have added, and hands on the sum; memory is bounded by
    the tile. Pixels whose residual is zero come out bit for bit as they went in.

    Args:
        photo: decoded.
        engine: runs the network that the card describes.
        card: multiple, context and tile size of the network.
        settings: what the user chose.

    Raises:
        OptionError: a tile too small for the network's context.
        EngineMemoryError: not even the smallest tile fits.
        OutputError: no room for the scratch files.
    """
    blur = measure_blur(photo)
    scales = choose_scales(settings.scale, photo.width, photo.height, blur)
    residual, residual_scale, side = None, 1, settings.tile or card.tile_px
    for scale in scales:
        finer, side = yield from _stage(photo, scale, residual, residual_scale // scale, engine, card, side)
        if residual is not None:
            residual.close()
        residual, residual_scale = finer, scale
    assert residual is not None  # the last scale is always 1
    return Restored(_compose(photo, residual, settings.strength), blur, scales, side)


def _stage(
    photo: Photo, scale: int, coarser: Residual | None, factor: int, engine: Engine, card: Card, side: int
) -> Generator[Progress, None, tuple[Residual, int]]:
    """One working scale; runs out of memory into a new plan with smaller tiles."""
    while True:
        try:
            return (yield from _run_plan(photo, scale, coarser, factor, engine, card, side)), side
        except EngineMemoryError:
            smaller = side // 2
            if smaller < 2 * _halo(card) + 2 * OVERLAP_PX + card.multiple:
                raise
            side = smaller


def _run_plan(
    photo: Photo, scale: int, coarser: Residual | None, factor: int, engine: Engine, card: Card, side: int
) -> Generator[Progress, None, Residual]:
    reader = photo.unit(scale)
    tiles = plan(
        reader.width, reader.height, side=side, halo=_halo(card), overlap=OVERLAP_PX, multiple=card.multiple
    ).tiles
    total = Residual(reader.width, reader.height)
    for number, tile in enumerate(tiles, start=1):
        seen = reader.read(tile.source)  # (h, w, 3) in [0, 1]
        start = seen if coarser is None else np.clip(seen + coarser.enlarged(tile.source, factor), 0, 1)
        batch = np.ascontiguousarray(start.transpose(2, 0, 1)[None])
        change = engine.run(batch).residual[0].transpose(1, 2, 0)
        sharp = light.conserve_light(start, start + change * needs_scale(seen))
        total.add(tile.target, _inside(sharp - seen, tile) * tile.weights())
        yield Progress(scale, number, len(tiles))
    return total


def _halo(card: Card) -> int:
    """What a tile has to see around its target: for the network and for what is done to its residual after it."""
    return card.context_px + light.CONTEXT_PX


def _inside(values: np.ndarray, tile: Tile) -> np.ndarray:
    """The part of a tile's (h, w, 3) values that it contributes."""
    y, x = tile.target.y - tile.source.y, tile.target.x - tile.source.x
    return values[y : y + tile.target.height, x : x + tile.target.width]


def _compose(photo: Photo, residual: Residual, strength: float) -> Canvas:
    """Photo plus residual in the photo's own depth and bands, in strips."""
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    for y in range(0, photo.height, STRIP_ROWS):
        box = Box(0, y, photo.width, min(STRIP_ROWS, photo.height - y))
        pixels = photo.read(box)
        change = residual.read(box) * np.float32(strength * photo.peak)
        if photo.bands == 1:
            change = change.mean(axis=2, keepdims=True)
        sharp = np.clip(pixels + change, 0, photo.peak)
        canvas.write(box, (sharp if photo.depth == 32 else np.rint(sharp)).astype(photo.dtype))
    residual.close()
    return canvas
