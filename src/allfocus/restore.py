"""The pipeline: a photo in, a sharp photo out, coarse to fine and tile by tile. Every network goes through it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allfocus.defocus.map import DefocusMap, check_estimates_defocus
from allfocus.defocus.measure import Blur, measure_blur
from allfocus.engine.base import Engine, Estimate
from allfocus.engine.flipped import FlippedEngine
from allfocus.errors import EngineMemoryError, InputError, OptionError
from allfocus.need import CELL_PX, Need
from allfocus.photo.canvas import Canvas
from allfocus.photo.mask import Mask
from allfocus.photo.photo import Photo, Reader
from allfocus.photo.tiling import Box, Part, Tile, plan
from allfocus.residual import Residual
from allfocus.scales import CONTEXT_PX, choose_scales
from allfocus.weights.card import Card

OVERLAP_PX = 32
STRIP_ROWS = 256
HALF_SIZE = 16  # multiple of networks on half-size features, which take a quarter of the memory a pixel
GRAIN_PX = 128  # sides of cut tiles; an engine spends time on every new size


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
        gated: whether the network acts only where the photo is blurred (`scales.needs_scale`); False for comparisons
            with methods that act everywhere.
        finest: 1, or 2 to end at half size on large photos (`scales.LARGE_PX`).
        flips: whether the network also sees the mirror image; the two are averaged.
        with_map: whether the defocus map is wanted; only then does the network look at tiles that are in focus.
    """

    strength: float = 1.0
    scale: str | int = "auto"
    tile: int = 0
    keep_bokeh: float | None = None
    gated: bool = True
    finest: int = 1
    flips: bool = False
    with_map: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise OptionError(f"strength {self.strength}", "a number from 0 to 1", "--strength 1")
        if self.finest not in (1, 2):
            raise OptionError(f"a finest scale of {self.finest}", "1 or 2", "1")
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
    tile: Tile | Part | None = None
    sharp: np.ndarray | None = None


@dataclass(frozen=True)
class Restored:
    """The finished picture and how it came about.

    Attributes:
        canvas: pixels in the photo's own depth and bands.
        blur: what was measured before.
        scales: the working scales that were used, coarsest first.
        tile: side of the largest tile that was used, in px.
        defocus_map: how blurred each place was; None if it was not wanted, or the network does not tell.
        left_alone: share of the pixels that are as they were, bit for bit.
        seen_px: pixels that the network has seen, over all scales.
    """

    canvas: Canvas
    blur: Blur
    scales: tuple[int, ...]
    tile: int
    defocus_map: DefocusMap | None = None
    left_alone: float = 0.0
    seen_px: int = 0


@dataclass(frozen=True)
class Stage:
    """What one working scale found, for the next one.

    Attributes:
        scale: how many times smaller than the photo it worked.
        residual: what it and the coarser ones add to the photo.
        defocus_map: how blurred each place is, as far as it and the coarser ones know; None if nobody asks.
        tile: side of the largest tile that was used, in px.
        seen_px: pixels that the network has seen, here and at the coarser ones.
    """

    scale: int
    residual: Residual
    defocus_map: DefocusMap | None
    tile: int
    seen_px: int


def restore(
    photo: Photo, engine: Engine, card: Card, settings: Settings, views: Views | None = None, mask: Mask | None = None
) -> Generator[Progress, None, Restored]:
    """Deblur a photo; yields after every tile, so that a caller can show progress or stop by closing the generator.

    Each scale looks at the photo with what the coarser scales have added, and hands on the sum; memory is bounded by
    the tile. Pixels whose residual is zero come out bit for bit as they went in. What is in focus at a scale is left
    out before the network runs (`need.py`); where the defocus map is wanted, the network sees all. With `scale` "auto"
    a network of two views works at full size.

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
    scales = choose_scales(requested, photo.width, photo.height, blur, settings.finest)
    work = _Work(photo, views, FlippedEngine(engine) if settings.flips else engine, card, settings, scales[-1])
    stage, sides = None, _sides(card, settings)
    for scale in scales:
        finer, sides = yield from _run_stage(work, scale, stage, sides)
        if stage is not None:
            stage.residual.close()
        stage = finer
    assert stage is not None  # there is always a scale
    canvas, left_alone = _compose(photo, stage, settings, mask)
    return Restored(canvas, blur, scales, stage.tile, stage.defocus_map, left_alone, stage.seen_px)


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
                "views developed and cropped like the photo",
            )


@dataclass(frozen=True)
class _Work:
    """What stays the same over all scales of a photo; see `restore`."""

    photo: Photo
    views: Views | None
    engine: Engine
    card: Card
    settings: Settings
    finest: int

    @property
    def maps(self) -> bool:
        """Whether the defocus map is made."""
        wanted = self.settings.with_map or self.settings.keep_bokeh is not None
        return wanted and "disparity" in self.card.outputs


def _sides(card: Card, settings: Settings) -> tuple[float, ...]:
    """Sides of the tiles that may be planned with; larger ones only where a pixel takes little memory."""
    if settings.tile:
        return (settings.tile,)
    return tuple(card.tile_px * factor for factor in ((1, 1.25, 1.5) if card.multiple >= HALF_SIZE else (1,)))


def _run_stage(
    work: _Work, scale: int, coarser: Stage | None, sides: tuple[float, ...]
) -> Generator[Progress, None, tuple[Stage, tuple[float, ...]]]:
    """One working scale; runs out of memory into a new plan with smaller tiles."""
    reader, card = work.photo.unit(scale), work.card
    width, height = (side + -side % card.multiple for side in (reader.width, reader.height))
    need = Need(reader, width, height, finest=scale == work.finest) if work.settings.gated or work.maps else None
    while True:
        try:
            stage = yield from _run_plan(work, scale, coarser, need, sides)
        except EngineMemoryError:
            smaller = int(min(sides)) // 2
            if smaller < 2 * _halo(card) + 2 * OVERLAP_PX + card.multiple:
                raise
            sides = (smaller,)
        else:
            if need is not None:
                need.close()
            return stage, sides


def _run_plan(
    work: _Work, scale: int, coarser: Stage | None, need: Need | None, sides: tuple[float, ...]
) -> Generator[Progress, None, Stage]:
    """Tile by tile: while the network looks at one, the next is made ready and the one before is taken in."""
    photo, card = work.photo, work.card
    tiles, side = _tiles(work, photo.unit(scale), need, sides)
    total = Residual(-(-photo.width // scale), -(-photo.height // scale))
    before = coarser.defocus_map if coarser else None
    defocus_map = DefocusMap(photo.width, photo.height, card.multiple, scale, before) if work.maps else None

    def take_in(tile: Tile | Part, pictures: _Pictures, found: Estimate) -> np.ndarray:
        share = None if need is None else need.read(tile.source)
        residual = found.residual[0].transpose(1, 2, 0)
        sharp = pictures.start + (residual if share is None or not work.settings.gated else residual * share)
        total.add(tile.target, _inside(sharp - pictures.seen, tile) * tile.weights())
        if defocus_map is not None and found.disparity is not None:
            assert isinstance(tile, Tile) and share is not None  # nothing is left out where a map is made
            defocus_map.add(tile, found.disparity, share)
        return _inside(sharp, tile)

    with ThreadPoolExecutor(1) as before_it, ThreadPoolExecutor(1) as after_it:
        ready = [before_it.submit(_pictures, work, scale, coarser, tile) for tile in tiles[:1]]
        taken: Future[np.ndarray] | None = None
        for number, tile in enumerate(tiles):
            pictures = ready.pop().result()
            ready += [before_it.submit(_pictures, work, scale, coarser, one) for one in tiles[number + 1 : number + 2]]
            found = work.engine.run(_batch(pictures.start), pictures.sides)
            if taken is not None:
                yield Progress(scale, number, len(tiles), tiles[number - 1], taken.result())
            taken = after_it.submit(take_in, tile, pictures, found)
        if taken is not None:
            yield Progress(scale, len(tiles), len(tiles), tiles[-1], taken.result())
    seen_px = sum(tile.source.width * tile.source.height for tile in tiles)
    return Stage(scale, total, defocus_map, side, seen_px + (coarser.seen_px if coarser else 0))


def _tiles(
    work: _Work, reader: Reader, need: Need | None, sides: tuple[float, ...]
) -> tuple[Sequence[Tile | Part], int]:
    """Of the plans with tiles of these sides the one in which the network sees the fewest pixels, and its side."""
    cheapest, best = None, None
    for side in map(int, sides):
        planned = plan(
            reader.width,
            reader.height,
            side=side,
            halo=_halo(work.card),
            overlap=OVERLAP_PX,
            multiple=work.card.multiple,
        )
        tiles: Sequence[Tile | Part] = planned.tiles
        if need is not None and work.settings.gated and not work.maps:
            tiles = planned.parts(need.cells, CELL_PX, GRAIN_PX)
        cost = sum(tile.source.width * tile.source.height for tile in tiles)
        if cheapest is None or cost < cheapest:
            cheapest, best = cost, (tiles, side)
    assert best is not None  # there is always a side
    return best


class _Pictures(NamedTuple):
    """A tile's source, (h, w, 3) float32: the photo, the photo with what coarser scales added, and the views so."""

    seen: np.ndarray
    start: np.ndarray
    sides: np.ndarray | None


def _pictures(work: _Work, scale: int, coarser: Stage | None, tile: Tile | Part) -> _Pictures:
    seen = work.photo.unit(scale).read(tile.source)
    added = None if coarser is None else coarser.residual.enlarged(tile.source, coarser.scale // scale)
    views = None if work.views is None else (work.views.right.unit(scale), work.views.left.unit(scale))
    sides = None if views is None else _batch(*(_plus(view.read(tile.source), added) for view in views))
    return _Pictures(seen, _plus(seen, added), sides)


def _plus(pixels: np.ndarray, added: np.ndarray | None) -> np.ndarray:
    """A picture with what coarser stages added, in [0, 1]; as it is before the first of them."""
    return pixels if added is None else np.clip(pixels + added, 0, 1)


def _batch(*pictures: np.ndarray) -> np.ndarray:
    """Pictures (h, w, 3) as one batch (1, 3 * count, h, w)."""
    return np.ascontiguousarray(np.concatenate(pictures, axis=2).transpose(2, 0, 1)[None])


def _halo(card: Card) -> int:
    """What a tile has to see around its target: for the network, and to tell where it is blurred."""
    return max(card.context_px, CONTEXT_PX)


def _inside(values: np.ndarray, tile: Tile | Part) -> np.ndarray:
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
        added = stage.residual.read(box) if stage.scale == 1 else stage.residual.enlarged(box, stage.scale)
        change = added * np.float32(settings.strength * photo.peak)
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
