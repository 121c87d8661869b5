"""The pipeline: a photo in, a sharp photo out, coarse to fine and tile by tile. Every network goes through it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allfocus.defocus.map import DefocusMap, check_estimates_defocus
from allfocus.defocus.measure import Blur, measure_blur
from allfocus.engine.base import Engine
from allfocus.errors import EngineMemoryError, InputError, OptionError
from allfocus.photo.canvas import Canvas
from allfocus.photo.mask import Mask
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box, Tile, plan
from allfocus.residual import Residual
from allfocus.scales import CONTEXT_PX, choose_scales, needs_scale
from allfocus.weights.card import Card

OVERLAP_PX = 32
STRIP_ROWS = 256


class Views(NamedTuple):
    """The two views of a dual-pixel photo, both of the photo's size."""

    left: Photo
    right: Photo


@dataclass(frozen=True)
class Settings:
    """What a user may choose.

    Attributes:
        strength: 0 returns the photo, 1 adds the whole residual.
        scale: "auto", or the coarsest working scale 1, 2 or 4.
        tile: side of a tile in px; 0 chooses.
        keep_bokeh: blur radius in px of the photo from which on a place is left as it was; None leaves none.
        gated: whether the network acts only where the photo is blurred (`scale.needs_scale`); False for comparisons
            with methods that act everywhere.
    """

    strength: float = 1.0
    scale: str | int = "auto"
    tile: int = 0
    keep_bokeh: float | None = None
    gated: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise OptionError(f"strength {self.strength}", "a number from 0 to 1", "--strength 1")
        if self.tile < 0:
            raise OptionError(f"tile {self.tile}", "a side in px, or 0", "--tile 0 for the automatic size")
        if self.keep_bokeh is not None and not 0 < self.keep_bokeh < np.inf:
            raise OptionError(f"keep_bokeh {self.keep_bokeh:g}", "a blur radius above 0 px", "--keep-bokeh 6")


@dataclass(frozen=True)
class Progress:
    """One tile is done: `done` of `total` at working scale `scale`.

    Attributes:
        tile: in px of the working scale.
        sharp: (h, w, 3) over the tile's target, about [0, 1]: what the whole correction makes of it.
    """

    scale: int
    done: int
    total: int
    tile: Tile | None = None
    sharp: np.ndarray | None = None


@dataclass(frozen=True)
class Restored:
    """The finished picture and how it came about.

    Attributes:
        canvas: pixels in the photo's own depth and bands.
        blur: what was measured before.
        scales: the working scales that were used, coarsest first.
        tile: side of the largest tile that was used, in px.
        defocus_map: how blurred each place was; None from a network that does not tell.
        left_alone: share of the pixels that are as they were, bit for bit.
    """

    canvas: Canvas
    blur: Blur
    scales: tuple[int, ...]
    tile: int
    defocus_map: DefocusMap | None = None
    left_alone: float = 0.0


@dataclass(frozen=True)
class Stage:
    """What one working scale found, for the next one.

    Attributes:
        scale: how many times smaller than the photo it worked.
        residual: what it and the coarser ones add to the photo.
        defocus_map: how blurred each place is, as far as it and the coarser ones know.
    """

    scale: int
    residual: Residual
    defocus_map: DefocusMap | None


def restore(
    photo: Photo, engine: Engine, card: Card, settings: Settings, views: Views | None = None, mask: Mask | None = None
) -> Generator[Progress, None, Restored]:
    """Deblur a photo; yields after every tile, so that a caller can show progress or stop by closing the generator.

    Each scale looks at the photo with what the coarser scales have added, and hands on the sum; memory is bounded by
    the tile. Pixels whose residual is zero come out bit for bit as they went in. With `scale` "auto" a network of two
    views works at full size.

    Args:
        photo: decoded.
        engine: runs the network that the card describes.
        card: multiple, context, views and tile size of the network.
        settings: what the user chose.
        views: left and right dual-pixel view, for a network of two.
        mask: where how much of the correction is added; everywhere all of it when None.

    Raises:
        OptionError: a tile too small for the network's context; bokeh to be kept by a network that cannot tell it;
            views for a network of one, or none for a network of two.
        InputError: views of another size than the photo.
        EngineMemoryError: not even the smallest tile fits.
        OutputError: no room for the scratch files.
    """
    check_views(card, photo, views)
    if settings.keep_bokeh is not None:
        check_estimates_defocus(card)
    blur = measure_blur(photo)
    requested = 1 if views is not None and settings.scale == "auto" else settings.scale
    scales = choose_scales(requested, photo.width, photo.height, blur)
    stage, side = None, settings.tile or card.tile_px
    for scale in scales:
        finer, side = yield from _run_stage(_Work(photo, views, engine, card, settings.gated), scale, stage, side)
        if stage is not None:
            stage.residual.close()
        stage = finer
    assert stage is not None  # the last scale is always 1
    canvas, left_alone = _compose(photo, stage, settings, mask)
    return Restored(canvas, blur, scales, side, stage.defocus_map, left_alone)


def finish(steps: Generator[Progress, None, Restored], progress: Callable[[Progress], None] | None = None) -> Restored:
    """Run `restore` to its end.

    Args:
        steps: what `restore` gave.
        progress: called after every tile.

    Raises:
        AllfocusError: as `restore`.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        if progress is not None:
            progress(step)


def check_views(card: Card, photo: Photo, views: Views | None) -> None:
    """Refuse views that do not go with a network or a photo; errors as `restore`."""
    if views is None:
        if card.views > 1:
            raise OptionError(
                f"no dual-pixel views for {card.name}, a network of two",
                "the left and the right view of the photo",
                "--left LEFT --right RIGHT, or a model of one view",
            )
        return
    if card.views == 1:
        raise OptionError(
            f"dual-pixel views for {card.name}, a network of one view",
            "a network of two views",
            "leave --left and --right out, or another --model",
        )
    for name, view in views._asdict().items():
        if (view.width, view.height) != (photo.width, photo.height):
            raise InputError(
                f"a {name} view of {view.width}x{view.height} px",
                f"the photo's {photo.width}x{photo.height}",
                "views that were developed and cropped like the photo",
            )


@dataclass(frozen=True)
class _Work:
    """What stays the same over all scales of a photo; see `restore`."""

    photo: Photo
    views: Views | None
    engine: Engine
    card: Card
    gated: bool


def _run_stage(
    work: _Work, scale: int, coarser: Stage | None, side: int
) -> Generator[Progress, None, tuple[Stage, int]]:
    """One working scale; runs out of memory into a new plan with smaller tiles."""
    while True:
        try:
            return (yield from _run_plan(work, scale, coarser, side)), side
        except EngineMemoryError:
            smaller = side // 2
            if smaller < 2 * _halo(work.card) + 2 * OVERLAP_PX + work.card.multiple:
                raise
            side = smaller


def _run_plan(work: _Work, scale: int, coarser: Stage | None, side: int) -> Generator[Progress, None, Stage]:
    photo, card = work.photo, work.card
    reader = photo.unit(scale)
    pair = None if work.views is None else (work.views.right.unit(scale), work.views.left.unit(scale))
    tiles = plan(
        reader.width, reader.height, side=side, halo=_halo(card), overlap=OVERLAP_PX, multiple=card.multiple
    ).tiles
    total = Residual(reader.width, reader.height)
    defocus_map = DefocusMap(photo.width, photo.height, card.multiple, scale, coarser.defocus_map if coarser else None)
    for number, tile in enumerate(tiles, start=1):
        seen = reader.read(tile.source)  # (h, w, 3) in [0, 1]
        added = None if coarser is None else coarser.residual.enlarged(tile.source, coarser.scale // scale)
        start = _plus(seen, added)
        sides = None if pair is None else _batch(*(_plus(view.read(tile.source), added) for view in pair))
        found = work.engine.run(_batch(start), sides)
        blurred = needs_scale(seen, finest=scale == 1)
        sharp = start + found.residual[0].transpose(1, 2, 0) * (blurred if work.gated else 1)
        total.add(tile.target, _inside(sharp - seen, tile) * tile.weights())
        if found.disparity is not None:
            defocus_map.add(tile, found.disparity, blurred)
        yield Progress(scale, number, len(tiles), tile, _inside(sharp, tile))
    return Stage(scale, total, defocus_map if "disparity" in card.outputs else None)


def _plus(pixels: np.ndarray, added: np.ndarray | None) -> np.ndarray:
    """A picture with what coarser stages added, in [0, 1]; as it is before the first of them."""
    return pixels if added is None else np.clip(pixels + added, 0, 1)


def _batch(*pictures: np.ndarray) -> np.ndarray:
    """Pictures (h, w, 3) as one batch (1, 3 * count, h, w)."""
    return np.ascontiguousarray(np.concatenate(pictures, axis=2).transpose(2, 0, 1)[None])


def _halo(card: Card) -> int:
    """What a tile has to see around its target: for the network, and to tell where it is blurred."""
    return max(card.context_px, CONTEXT_PX)


def _inside(values: np.ndarray, tile: Tile) -> np.ndarray:
    """The part of a tile's (h, w, 3) values that it contributes."""
    y, x = tile.target.y - tile.source.y, tile.target.x - tile.source.x
    return values[y : y + tile.target.height, x : x + tile.target.width]


def _compose(photo: Photo, stage: Stage, settings: Settings, mask: Mask | None) -> tuple[Canvas, float]:
    """Photo plus residual in the photo's own depth and bands, in strips; places to be kept get none of it.

    Also gives the share of pixels that stayed as they were.
    """
    untouched = 0
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype)
    for y in range(0, photo.height, STRIP_ROWS):
        box = Box(0, y, photo.width, min(STRIP_ROWS, photo.height - y))
        pixels = photo.read(box)
        change = stage.residual.read(box) * np.float32(settings.strength * photo.peak)
        if settings.keep_bokeh is not None and stage.defocus_map is not None:
            change *= stage.defocus_map.share_below(settings.keep_bokeh, box)
        if mask is not None:
            change *= mask.share(box)
        if photo.bands == 1:
            change = change.mean(axis=2, keepdims=True)
        sharp = np.clip(pixels + change, 0, photo.peak)
        finished = (sharp if photo.depth == 32 else np.rint(sharp)).astype(photo.dtype)
        untouched += int((finished == pixels).all(axis=2).sum())
        canvas.write(box, finished)
    stage.residual.close()
    return canvas, untouched / (photo.width * photo.height)
