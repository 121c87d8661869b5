"""Deblur paths, bytes, arrays and PIL images with one engine that is loaded once."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

from allfocus.atomic_file import AtomicFile, make_folder
from allfocus.comparison import write_comparison
from allfocus.defocus.files import check_ending, picture_beside, write_map
from allfocus.defocus.map import DefocusMap, check_estimates_defocus
from allfocus.defocus.measure import Blur
from allfocus.engine.base import Engine, EngineInfo
from allfocus.engine.choose import check_choice, choose
from allfocus.engine.later import LaterEngine
from allfocus.photo.codecs import MAX_PIXELS, encode, losses
from allfocus.photo.codecs import check as check_format
from allfocus.photo.formats import READ, extension
from allfocus.photo.mask import Mask
from allfocus.restore import Progress, Settings, Views, check_views, finish, restore
from allfocus.sources import Given, Result, Source
from allfocus.speeds import BALANCED, speed_of
from allfocus.targets import check
from allfocus.weights import store


@dataclass(frozen=True)
class Deblurred:
    """The result for one photo.

    Attributes:
        output: the path written; or bytes, an array or a PIL image, like the source.
        width, height: of the upright photo in px.
        scales: working scales, coarsest first.
        blur: the blur measured in the photo.
        tile: side of the largest tile in px.
        seconds: from reading to the finished file.
        notes: what was converted, could not be kept or could not be restored, one sentence each.
        engine: the engine that ran the network.
        defocus_map: the blur radius at each pixel; None if neither the map nor `keep_bokeh` was requested, or the
            network does not estimate it.
        left_alone: share of the pixels that are unchanged, bit for bit.
    """

    output: Result
    width: int
    height: int
    scales: tuple[int, ...]
    blur: Blur
    tile: int
    seconds: float
    notes: tuple[str, ...]
    engine: EngineInfo
    defocus_map: DefocusMap | None = None
    left_alone: float = 0.0

    def facts(self) -> dict[str, Any]:
        """The fields that `--json` and the service report, ready for JSON."""
        return {
            "width": self.width,
            "height": self.height,
            "blur_px": {"typical": self.blur.typical_px, "large": self.blur.large_px},
            "scales": list(self.scales),
            "tile": self.tile,
            "left_alone": round(self.left_alone, 4),
            "engine": {"name": self.engine.name, "precision": self.engine.precision, "model": self.engine.model},
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


class Deblurrer:
    """A model on an engine, for many photos. The engine is loaded in the background while the first is decoded.

    Args:
        model: a name that `allfocus models` lists, or the path of a weights file or its card.
        engine: "auto", or one of those that `allfocus doctor` lists.
        precision: "auto", "float32", "bfloat16" or "int8".
        threads: of the engine; see `engine.choose.choose`.

    Raises:
        WeightsError: no such model, or a damaged one.
        OptionError: another engine or precision.
        EngineError: at the first use: the engine is not available or cannot run the model.
    """

    def __init__(
        self,
        model: str | Path = store.DEFAULT,
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.model = store.find(model)
        check_choice(engine, precision)
        self.engine: Engine = LaterEngine(partial(choose, self.model, engine, precision, threads))

    def loaded(self) -> Self:
        """This deblurrer once its engine is loaded. EngineError: it is not available or cannot run the model."""
        _ = self.engine.info
        return self

    def on(self, engine: Engine) -> Self:
        """The same model on another engine that has it loaded."""
        other = copy(self)
        other.engine = engine
        return other

    def run(
        self,
        source: Source,
        output: str | Path | None = None,
        settings: Settings | None = None,
        *,
        views: tuple[Source, Source] | None = None,
        mask: Source | None = None,
        map: str | Path | None = None,
        compare: str | Path | None = None,
        overwrite: bool = False,
        quality: int | None = None,
        pixel_limit: int = MAX_PIXELS,
        allow_damaged: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> Deblurred:
        """Deblur one photo.

        Args:
            source: as in `deblur`, and so are the options that are not listed here.
            output: where to write. When None, a path gives NAME.sharp.EXT beside it; other sources are returned.
            settings: strength, scale, tile and the bokeh to keep.

        Raises:
            InputError: a photo, view or mask that cannot be read, or does not have the photo's size or shape.
            OptionError: a source of another type; `map` or `keep_bokeh` with a network that estimates no disparity;
                views for a model of one view, or none for a model of two.
            OutputError: a target that cannot be written, or that is the photo or another result.
        """
        started = time.perf_counter()
        given = Given.of(source)
        target = _target(given, output)
        numbers, comparison = _path(map), _path(compare)
        maps = () if numbers is None else (numbers, picture_beside(numbers))
        writes = [path for path in (target, *maps, comparison) if path is not None]
        seen = [Given.of(view) for view in views or ()]
        painted = None if mask is None else Given.of(mask)
        reads = (given, *seen, *(() if painted is None else (painted,)))
        check(writes, [one.path for one in reads if one.path is not None])
        photo = given.decode(pixel_limit, allow_damaged=allow_damaged)
        pair = None if views is None else Views(*(view.decode(pixel_limit) for view in seen))
        shares = None if painted is None else Mask(painted.decode(pixel_limit), photo.width, photo.height)
        check_views(self.model.card, photo, pair)
        notes = photo.notes
        if given.array is None or target is not None:
            check_format(photo, target, quality=quality)
            notes += losses(photo, target, quality=quality)
        if numbers is not None:
            check_estimates_defocus(self.model.card)
            check_ending(numbers)
        for path in writes:  # before the work, not after it
            make_folder(path.parent)
            AtomicFile(path, overwrite=overwrite).check()
        wanted = settings or Settings()
        wanted = replace(wanted, with_map=wanted.with_map or numbers is not None)
        finished = finish(restore(photo, self.engine, self.model.card, wanted, pair, shares), progress)
        with finished.canvas as canvas:
            if target is None:
                result = given.returned(photo, canvas, quality)
            else:
                encode(photo, canvas, target, quality=quality, overwrite=overwrite)
                result = target
            if numbers is not None and finished.defocus_map is not None:
                maker = self.model.card.name
                write_map(finished.defocus_map, numbers, maker, overwrite=overwrite, permissions=photo.permissions)
            if comparison is not None:
                write_comparison(photo, canvas, comparison, overwrite=overwrite)
        return Deblurred(
            output=result,
            width=photo.width,
            height=photo.height,
            scales=finished.scales,
            blur=finished.blur,
            tile=finished.tile,
            seconds=time.perf_counter() - started,
            notes=notes + finished.blur.notes,
            engine=self.engine.info,
            defocus_map=finished.defocus_map,
            left_alone=finished.left_alone,
        )


def _target(given: Given, output: str | Path | None) -> Path | None:
    if output is not None:
        return _path(output)
    return None if given.path is None else beside(given.path)


def _path(place: str | Path | None) -> Path | None:
    return None if place is None else Path(place)


def beside(source: Path) -> Path:
    """NAME.sharp.EXT beside NAME.EXT; .tif for camera raw files and .jpg for HEIC, which are only read."""
    return source.with_name(f"{source.stem}.sharp{written_suffix(source)}")


def written_suffix(source: Path) -> str:
    """The ending of a result: the source's own where its format is written, else .tif (raw) or .jpg (HEIC)."""
    ending = source.suffix.lower()
    known = next((format for format in READ.values() if ending in format.extensions), None)
    return source.suffix if known is None or known.written else extension(known.name)


def deblur(
    source: Source,
    output: str | Path | None = None,
    *,
    speed: str = BALANCED,
    model: str | Path | None = None,
    engine: str = "auto",
    precision: str = "auto",
    strength: float = 1.0,
    scale: str | int = "auto",
    tile: int = 0,
    keep_bokeh: float | None = None,
    views: tuple[Source, Source] | None = None,
    mask: Source | None = None,
    map: str | Path | None = None,
    compare: str | Path | None = None,
    overwrite: bool = False,
    quality: int | None = None,
    pixel_limit: int = MAX_PIXELS,
    allow_damaged: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Deblur a photo.

    Args:
        source: a path, an encoded photo as bytes, an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16
            or floats in [0, 1], display-referred RGB, or a PIL image of mode L, LA, RGB, RGBA, I;16 or F.
        output: where to write. When None, a path gives NAME.sharp.EXT beside it; other sources are returned.
        speed: "fast", "balanced" or "best" (`speeds.py`).
        model: a name that `allfocus models` lists, or the path of a weights file or its card; None: the model
            of `speed`.
        engine: "auto", or one of those that `allfocus doctor` lists.
        precision: "auto", "float32", "bfloat16" or "int8".
        strength: how much of the correction to apply: 0 to 1 is faithful, up to 1.4 crisp.
        scale: "auto", or the coarsest working scale 1, 2 or 4.
        tile: tile size in px; 0 chooses automatically.
        keep_bokeh: areas with at least this blur radius, px, stay unchanged, bit for bit (before a lossy format).
        views: left and right dual-pixel views of the photo, for a model of two views; types as `source`.
        mask: a greyscale picture with the shape of the upright photo, in any size: black areas are left alone, white
            ones deblurred; types as `source`.
        map: where to write the defocus map, a name ending in .tiff; a coloured picture is written beside it as
            NAME.map.png.
        compare: where to write a before/after picture, a JPEG.
        overwrite: replace existing files. The photo itself is never replaced, whatever name it is given.
        quality: 1 to 100, of a JPEG, WebP or AVIF result; None: that of the source, at least 90.
        pixel_limit: larger photos are refused.
        allow_damaged: deblur what can be read of a damaged file, and add a note.
        progress: called after every tile.

    Returns:
        The path written, if the source is a path or an output is named; else bytes of the same format for bytes, an
        array of the same shape and dtype for an array, a PIL image of the same mode for a PIL image.

    Raises:
        AllfocusError: it says what it got, what it expected and what to try.
    """
    chosen = speed_of(speed)
    settings = chosen.settings(Settings(strength=strength, scale=scale, tile=tile, keep_bokeh=keep_bokeh))
    ready = _ready(str(model or chosen.model), engine, precision)
    return ready.run(
        source, output, settings,
        views=views, mask=mask, map=map, compare=compare, overwrite=overwrite, quality=quality,
        pixel_limit=pixel_limit, allow_damaged=allow_damaged, progress=progress,
    ).output  # fmt: skip


@lru_cache(maxsize=2)
def _ready(model: str, engine: str, precision: str) -> Deblurrer:
    return Deblurrer(model, engine, precision).loaded()  # a failure is not to be kept
