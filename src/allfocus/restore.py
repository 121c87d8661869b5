"""The pipeline: a photo in, a sharp photo out, coarse to fine and tile by tile. Every network goes through it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock, Semaphore
from typing import NamedTuple, TypeVar

import numpy as np

from allfocus import compiled
from allfocus.defocus.map import DefocusMap, check_estimates_defocus
from allfocus.defocus.measure import Blur, measure_blur
from allfocus.engine.base import Engine, Estimate, FittingEngine, ParallelEngine
from allfocus.engine.flipped import FlippedEngine
from allfocus.errors import EngineMemoryError, InputError, OptionError
from allfocus.need import CELL_PX, Need
from allfocus.photo.canvas import Canvas
from allfocus.photo.mask import Mask
from allfocus.photo.photo import Photo, Reader
from allfocus.photo.regions import Cutter, Part, cost_px, seen_px
from allfocus.photo.tiling import Box, Tile, TilePlan, plan
from allfocus.pixel_work import AT_ONCE, TURN, in_turn
from allfocus.residual import ONE, Residual, blocks, strips
from allfocus.scales import CONTEXT_PX, check_scale, choose_scales
from allfocus.weights.card import Card

OVERLAP_PX = 32
MOST_STRENGTH = 1.4
"""`ifan-fast` holds 0.77 of the residual that the network learnt: this returns it and a little more."""
HALF_SIZE = 16  # multiple of networks on half-size features, which take a quarter of the memory a pixel
HALO_AFTER_COARSER_PX = 64
"""Context where a coarser scale has worked and little is left to do: no value differs by more than a grey level from
what twice the network's context gives (`context` in benchmarks/speed_trials.json, results/tiles.ifan-fast.json)."""
FITTED_SIDE_PX = 2112
"""Of the square as large as a tile may be for an engine that knows its size beforehand: some 500 MB in int8."""
FITTED_PX = 12_000_000  # where the network sees less, getting the engine ready takes longer than it saves
FITTED_TIME = 0.88  # of what it takes to compute a pixel otherwise
_TILES_AROUND = 1  # beside those in the network: one that is prepared or added up
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Views(NamedTuple):
    """The two views of a dual-pixel photo, both of the photo's size."""

    left: Photo
    right: Photo


@dataclass(frozen=True)
class Settings:
    """The user's choices.

    Attributes:
        strength: from faithful to crisp: 0 returns the photo, 1 adds the residual, up to `MOST_STRENGTH` times it.
        scale: "auto", or the coarsest working scale 1, 2 or 4.
        tile: side of a tile in px; 0 chooses.
        keep_bokeh: areas with at least this blur radius, in px of the photo, stay unchanged; None keeps none.
        gated: whether the network acts only where the photo is blurred (`scales.needs_scale`); False for comparisons
            with methods that act everywhere.
        finest: 1, or 2 to end at half size on large photos (`scales.LARGE_PX`).
        flips: whether to average the results for the photo and its mirror image.
        with_map: whether the defocus map is wanted, for which the network also runs on tiles in focus.
        with_tiles: whether `Progress` has the restored pixels of each tile.
    """

    strength: float = 1.0
    scale: str | int = "auto"
    tile: int = 0
    keep_bokeh: float | None = None
    gated: bool = True
    finest: int = 1
    flips: bool = False
    with_map: bool = False
    with_tiles: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= MOST_STRENGTH:
            raise OptionError(f"strength {self.strength}", f"a number from 0 to {MOST_STRENGTH}", "--strength 1")
        check_scale(self.scale)
        if self.finest not in (1, 2):
            raise OptionError(f"a finest scale of {self.finest}", "1 or 2", "1")
        if self.tile < 0:
            raise OptionError(f"tile {self.tile}", "a side in px, or 0", "--tile 0 for the automatic size")
        if self.keep_bokeh is not None and not 0 < self.keep_bokeh < np.inf:
            raise OptionError(f"keep_bokeh {self.keep_bokeh:g}", "a blur radius above 0 px", "--keep-bokeh 6")


@dataclass(frozen=True)
class Progress:
    """`done` of `total` tiles are done at a working scale; with `done` 0 the scale begins.

    Attributes:
        planned_px: pixels that the network sees in all tiles of this scale.
        scales: of the photo, coarsest first.
        tile: the last of the tiles, in px of the scale.
        sharp: (h, w, 3) the restored pixels over its target, about [0, 1]; None without `Settings.with_tiles`.
    """

    scale: int
    done: int
    total: int
    tile: Tile | Part | None = None
    sharp: np.ndarray | None = None
    planned_px: int = 0
    scales: tuple[int, ...] = ()


@dataclass(frozen=True)
class Restored:
    """The restored photo and how it was made.

    Attributes:
        canvas: pixels in the photo's own depth and bands.
        seen_px: pixels that the network was run on, over all scales.
        blur, scales, tile, defocus_map, left_alone: as in `deblurrer.Deblurred`.
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
    """The result of one working scale and the coarser ones before it; attributes as in `Restored`.

    Attributes:
        scale: how many times smaller than the photo.
        residual: what it and the coarser ones add to the photo.
        need: what there was to do, and what is left for the next one; None where everything is done everywhere.
    """

    scale: int
    residual: Residual
    defocus_map: DefocusMap | None
    tile: int
    seen_px: int
    need: Need | None


def restore(
    photo: Photo, engine: Engine, card: Card, settings: Settings, views: Views | None = None, mask: Mask | None = None
) -> Generator[Progress, None, Restored]:
    """Deblur a photo; yields after every tile, so that a caller can show progress or stop by closing the generator.

    The network at each scale is given the photo as the coarser scales have corrected it. Memory is bounded by the tile.
    Pixels whose residual is zero stay unchanged, bit for bit. What is in focus at a scale, what is soft amid that after
    a coarser one, and what is too blurred for full size to add to what half size has done, is left out before the
    network runs (`need.py`) unless the defocus map is wanted.
    With `scale` "auto" a network of two views works at full size.

    Args:
        photo: decoded.
        engine: runs the network that the card describes.
        card: multiple, context, views and tile size of the network.
        settings: the user's choices.
        views: left and right dual-pixel view, for a network of two views.
        mask: how much of the correction is added at each pixel; None adds all of it.

    Raises:
        OptionError: a tile too small for the network's context; `keep_bokeh` with a network that estimates no
            disparity; views for a network of one view, or none for a network of two.
        InputError: views of another size than the photo.
        EngineMemoryError: not even the smallest tile fits.
        OutputError: no room for the scratch files.
    """
    check_views(card, photo, views)
    if settings.keep_bokeh is not None:
        check_estimates_defocus(card)
    blur = in_turn(measure_blur)(photo)
    requested = 1 if views is not None and settings.scale == "auto" else settings.scale
    scales = choose_scales(requested, photo.width, photo.height, blur, settings.finest)
    work = _Work(photo, views, FlippedEngine(engine) if settings.flips else engine, card, settings, scales)
    stage, sides = None, _sides(card, settings)
    for scale in scales:
        stage, sides = yield from _run_stage(work, scale, stage, sides)
    assert stage is not None  # there is always a scale
    if stage.need is not None:
        stage.need.close()
    canvas, left_alone = _compose(photo, stage, settings, mask)
    return Restored(canvas, blur, scales, stage.tile, stage.defocus_map, left_alone, stage.seen_px)


def finish(steps: Generator[Progress, None, Restored], progress: Callable[[Progress], None] | None = None) -> Restored:
    """Run `restore` to its end, calling `progress` after every tile; errors as there."""
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
    """What is the same at all scales; see `restore`."""

    photo: Photo
    views: Views | None
    engine: Engine
    card: Card
    settings: Settings
    scales: tuple[int, ...]

    @property
    def finest(self) -> int:
        """The last scale."""
        return self.scales[-1]

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
    need = None
    if work.settings.gated or work.maps:
        before = coarser.need if coarser else None
        rest = scale > 1 and work.finest == 1
        need = Need(reader, width, height, finest=scale == work.finest, coarser=before, rest=rest)
        if before is not None:
            before.close()
    while True:
        try:
            stage = yield from _run_plan(work, scale, coarser, need, sides)
        except EngineMemoryError:
            smaller = int(min(sides)) // 2  # also where a large fitted tile did not fit
            if smaller < 2 * _halo(card) + 2 * OVERLAP_PX + card.multiple:
                raise
            sides = (smaller,)
        else:
            return stage, sides


def _run_plan(
    work: _Work, scale: int, coarser: Stage | None, need: Need | None, sides: tuple[float, ...]
) -> Generator[Progress, None, Stage]:
    """Tile by tile: while the network runs on one, the next is prepared and the one before is added up."""
    photo, card = work.photo, work.card
    tiles, side, engine = _tiles(work, photo.unit(scale), coarser, need, sides)
    under = coarser.residual if coarser else None
    total = Residual(-(-photo.width // scale), -(-photo.height // scale), under)
    before = coarser.defocus_map if coarser else None
    defocus_map = DefocusMap(photo.width, photo.height, card.multiple, scale, before) if work.maps else None
    at_once = engine.at_once if isinstance(engine, ParallelEngine) else 1
    preparing, turn = Lock(), Semaphore(at_once)
    spare: list[np.ndarray] = []  # memory of tiles that are done

    def finished(tile: Tile | Part) -> tuple[Tile | Part, Estimate]:
        with preparing:  # one at a time: the network gets the first one earlier, and every one in order
            pictures = _pictures(work, scale, under, tile, spare)
        with turn:
            found = engine.run(pictures.start, pictures.sides)
        _take_in(work.settings, tile, pictures, found, need, total)
        spare.append(pictures.memory)
        return tile, found

    # the largest first: an engine takes all its memory anew when a tile is larger than those before
    ordered = sorted(tiles, key=lambda tile: -tile.source.width * tile.source.height)
    told = partial(Progress, scale, total=len(tiles), planned_px=seen_px(tiles), scales=work.scales)
    if tiles:
        yield told(done=0)
    for done, (tile, found) in enumerate(_in_order(finished, ordered, at_once + _TILES_AROUND), 1):
        if defocus_map is not None and found.disparity is not None:
            assert isinstance(tile, Tile) and need is not None  # nothing is left out where a map is made
            defocus_map.add(tile, found.disparity, need.read(tile.source))
        sharp = _inside(found.residual[0], tile.source, tile.target).transpose(1, 2, 0)
        yield told(done=done, tile=tile, sharp=sharp if work.settings.with_tiles else None)
    seen = seen_px(tiles) + (coarser.seen_px if coarser else 0)
    return Stage(scale, total, defocus_map, side, seen, need)


def _in_order(job: Callable[[_In], _Out], items: Iterable[_In], workers: int) -> Iterator[_Out]:
    """The results of a job on each item, in order; at most `workers` items are in work."""
    waiting: deque[Future[_Out]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            if len(waiting) == workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(job, item))
        while waiting:
            yield waiting.popleft().result()


def _tiles(
    work: _Work, reader: Reader, coarser: Stage | None, need: Need | None, sides: tuple[float, ...]
) -> tuple[Sequence[Tile | Part], int, Engine]:
    """The fastest of the plans with tiles of these sides, its side, and the engine for it.

    On large photos with much to do, one size for all tiles, in an engine made for that size, may be quicker than
    tiles cut down to what is blurred.
    """
    wanted = need.cells if need is not None and work.settings.gated and not work.maps else None
    cheapest, best = None, None
    for side in map(int, sides):
        tiles = _planned(work, reader, side).tiles if wanted is None else _parts(work, reader, coarser, wanted, side)
        cost = cost_px(tiles)
        if cheapest is None or cost < cheapest:
            cheapest, best = cost, (tiles, side, work.engine)
    assert best is not None  # there is always a side
    if seen_px(best[0]) >= FITTED_PX and len(sides) > 1 and isinstance(work.engine, FittingEngine):
        planned = _planned(work, reader, FITTED_SIDE_PX)
        tiles = planned.tiles if wanted is None else planned.whole(wanted, CELL_PX)
        if seen_px(tiles) * FITTED_TIME < seen_px(best[0]):
            engine = work.engine.fitted(planned.height, planned.width)
            return best if engine is None else (tiles, FITTED_SIDE_PX, engine)
    return best


def _planned(work: _Work, reader: Reader, side: int) -> TilePlan:
    halo, multiple = _halo(work.card), work.card.multiple
    return plan(reader.width, reader.height, side=side, halo=halo, overlap=OVERLAP_PX, multiple=multiple)


def _parts(work: _Work, reader: Reader, coarser: Stage | None, wanted: np.ndarray, side: int) -> list[Part]:
    halo, multiple = _halo(work.card), work.card.multiple
    if coarser is not None:
        halo = min(halo, HALO_AFTER_COARSER_PX)
    cutter = Cutter(reader.width, reader.height, CELL_PX, side=side, halo=halo, overlap=OVERLAP_PX, multiple=multiple)
    return cutter.parts(wanted)


class _Cut(NamedTuple):
    """What was taken off a block of values, (3, h, w), to bring it within [0, 1]: at which of them, and how much."""

    places: np.ndarray
    amounts: np.ndarray

    def taken_off(self, values: np.ndarray) -> np.ndarray:
        """Other values of the block, less what was taken off here."""
        change = values.copy()
        change.reshape(-1)[self.places] -= self.amounts
        return change


class _Pictures(NamedTuple):
    """The network's input for a tile.

    Attributes:
        start: the photo as coarser scales corrected it, within [0, 1]: (1, 3, h, w).
        sides: the views, (1, 6, h, w); None for a network of one view.
        cuts: for the part of each of the source's blocks that lies in the target; None where it was within [0, 1].
        memory: what `start` and `sides` lie in.
    """

    start: np.ndarray
    sides: np.ndarray | None
    cuts: list[_Cut | None]
    memory: np.ndarray


def _pictures(work: _Work, scale: int, under: Residual | None, tile: Tile | Part, spare: list[np.ndarray]) -> _Pictures:
    """The input for a tile, made in blocks that fit the processor's cache; in spare memory if that is enough."""
    views = () if work.views is None else (work.views.right, work.views.left)
    readers = [view.unit(scale) for view in (work.photo, *views)]
    shape = (1, 3 * len(readers), tile.source.height, tile.source.width)
    memory = spare.pop() if spare else np.empty(0, np.float32)
    if memory.size < math.prod(shape):
        memory = np.empty(math.prod(shape), np.float32)
    shown = memory[: math.prod(shape)].reshape(shape)
    cuts: list[_Cut | None] = []
    for strip in strips(tile.source):
        with TURN:
            pictures = np.split(_inside(shown[0], tile.source, strip), len(readers))
            for picture, reader in zip(pictures, readers, strict=True):
                reader.planes(strip, out=picture)
            for block in blocks(strip):
                added, cut = None if under is None else under.block(block, 2), None
                if added is not None:
                    corrected = [_inside(picture, strip, block) + added for picture in pictures]
                    cut = _cut(_inside(corrected[0], block, _common(block, tile.target)))
                    for picture, values in zip(pictures, corrected, strict=True):
                        np.clip(values, 0, 1, out=_inside(picture, strip, block))
                cuts.append(cut)
    return _Pictures(shown[:, :3], shown[:, 3:] if views else None, cuts, memory)


def _cut(values: np.ndarray) -> _Cut | None:
    if not values.size or (values.min() >= 0 and values.max() <= 1):
        return None
    excess = values - np.clip(values, 0, 1)
    places = np.flatnonzero(excess != 0)
    return _Cut(places.astype(np.int32), excess.reshape(-1)[places])


def _take_in(
    settings: Settings, tile: Tile | Part, pictures: _Pictures, found: Estimate, need: Need | None, total: Residual
) -> None:
    """Add what a tile's sharp picture has over the photo and what coarser scales have added; in `found` it becomes that
    picture if that is wanted."""
    down, across = tile.ramps()
    gated = need if settings.gated else None
    for whole, cut in zip(blocks(tile.source), pictures.cuts, strict=True):
        block = _common(whole, tile.target)
        if not block.width * block.height:
            continue
        change = _inside(found.residual[0], tile.source, block)
        y, x = block.y - tile.target.y, block.x - tile.target.x
        ramps = down[y : y + block.height], across[x : x + block.width]
        with TURN:
            if gated is not None and cut is None and not settings.with_tiles:
                weights = gated.read(block, ramps)  # once, not for each channel
            else:
                weights = ramps[0][:, None] * ramps[1]
                if gated is not None:
                    change *= gated.read(block)
            total.add(block, change if cut is None else cut.taken_off(change), weights)
            if settings.with_tiles:
                change += _inside(pictures.start[0], tile.source, block)


def _common(one: Box, other: Box) -> Box:
    """Where two boxes overlap; of no width or height where they do not."""
    x, y = max(one.x, other.x), max(one.y, other.y)
    right = min(one.x + one.width, other.x + other.width)
    bottom = min(one.y + one.height, other.y + other.height)
    return Box(x, y, max(right - x, 0), max(bottom - y, 0))


def _halo(card: Card) -> int:
    """The context that a tile needs around its target: for the network, and to measure blur."""
    return max(card.context_px, CONTEXT_PX)


def _inside(values: np.ndarray, box: Box, part: Box) -> np.ndarray:
    """Of values over a box, (..., h, w), those over a part of it."""
    y, x = part.y - box.y, part.x - box.x
    return values[..., y : y + part.height, x : x + part.width]


def _compose(photo: Photo, stage: Stage, settings: Settings, mask: Mask | None) -> tuple[Canvas, float]:
    """Photo plus residual in the photo's own depth and bands; and the share of unchanged pixels."""
    canvas = Canvas(photo.width, photo.height, photo.bands, photo.dtype, blank=False)
    factor = np.float32(settings.strength * photo.peak)
    shares: list[Callable[[Box], np.ndarray]] = []  # of the change that each place gets
    if settings.keep_bokeh is not None and stage.defocus_map is not None:
        shares.append(partial(stage.defocus_map.share_below, settings.keep_bokeh))
    if mask is not None:
        shares.append(mask.share)
    plain = stage.scale == 1 and photo.bands == 3 and photo.dtype != np.float32 and not shares
    by_steps = plain and compiled.AVAILABLE

    def compose(strip: Box) -> int:
        pixels = canvas.view(strip)
        in_place = pixels is not None
        if pixels is None:
            pixels = photo.read(strip)
        else:
            pixels[:] = photo.look(strip)
        changed = 0
        for block in blocks(strip):
            part = pixels[:, block.x : block.x + block.width]
            steps = stage.residual.steps(block) if by_steps else None
            if steps is not None:
                changed += compiled.change_by_steps(steps, 1 / ONE, float(factor), part, photo.peak)
                continue
            change = stage.residual.block(block, stage.scale)
            if change is None:
                continue
            change *= factor
            for share in shares:
                change *= share(block)[..., 0]
            if photo.bands == 1:
                change = change.mean(axis=0, keepdims=True)
            changed += _change(part, change, photo.peak)
        if not in_place:
            canvas.write(strip, pixels)
        return changed

    whole = Box(0, 0, photo.width, photo.height)
    with ThreadPoolExecutor(AT_ONCE) as workers:
        changed = sum(workers.map(in_turn(compose), strips(whole)))
    stage.residual.close()
    total = photo.width * photo.height
    return canvas, (total - changed) / total


def _change(pixels: np.ndarray, change: np.ndarray, peak: float) -> int:
    """Add (bands, h, w) to (h, w, bands) pixels, rounded and within [0, peak]; how many pixels differ."""
    if compiled.AVAILABLE and pixels.dtype != np.float32:
        return compiled.change(change, pixels, peak)
    differs = np.zeros(pixels.shape[:2], bool)
    # one channel after another: numpy is several times faster on such rows, and the cache holds them
    for plane, place in zip(change, pixels.transpose(2, 0, 1), strict=True):
        before = np.ascontiguousarray(place)
        plane += before
        np.clip(plane, 0, peak, out=plane)
        if pixels.dtype != np.float32:
            np.rint(plane, out=plane)
        place[:] = after = plane.astype(pixels.dtype)
        differs |= after != before
    return int(np.count_nonzero(differs))
