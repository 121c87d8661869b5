"""Deblurring from and to anything: paths, bytes and arrays through one engine that is loaded once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from allfocus.atomic_file import AtomicFile, make_folder
from allfocus.defocus.files import check_files, peak_of, picture_beside, write_picture, write_tiff
from allfocus.defocus.map import DefocusMap, check_estimates_defocus
from allfocus.defocus.measure import Blur
from allfocus.engine.base import EngineInfo
from allfocus.engine.choose import choose
from allfocus.errors import InputError
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import decode, encode, losses
from allfocus.photo.formats import RAW_EXTENSIONS
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box
from allfocus.restore import Progress, Settings, Views, check_views, finish, restore
from allfocus.weights import store

Source = str | Path | bytes | np.ndarray


@dataclass(frozen=True)
class Deblurred:
    """What came of one photo.

    Attributes:
        output: the path written, the encoded bytes, or the array, as the source was.
        width: of the upright photo in px.
        height: of the upright photo in px.
        scales: working scales, coarsest first.
        blur: what was measured before.
        tile: side of the tiles in px.
        seconds: from reading to the finished file.
        notes: what was converted or could not be kept, one sentence each.
        engine: what ran the network.
        defocus_map: how blurred each place was; None from a network that does not tell.
    """

    output: Path | bytes | np.ndarray
    width: int
    height: int
    scales: tuple[int, ...]
    blur: Blur
    tile: int
    seconds: float
    notes: tuple[str, ...]
    engine: EngineInfo
    defocus_map: DefocusMap | None = None


class Deblurrer:
    """A model on an engine, ready for many photos.

    Args:
        model: a name that `allfocus models` lists, or the path of a weights file or its card.
        engine: "auto", "openvino", "onnxruntime" or "torch".
        precision: "auto", "float32" or "bfloat16".

    Raises:
        WeightsError: no such model, or a damaged one.
        EngineError: the engine is not here or cannot run it.
    """

    def __init__(self, model: str | Path = store.DEFAULT, engine: str = "auto", precision: str = "auto") -> None:
        self.model = store.find(model)
        self.engine = choose(self.model, engine, precision)

    def run(
        self,
        source: Source,
        output: str | Path | None = None,
        settings: Settings | None = None,
        *,
        views: tuple[Source, Source] | None = None,
        map: str | Path | None = None,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> Deblurred:
        """Deblur one photo.

        Args:
            source: a path, an encoded photo as bytes, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8,
                uint16 or float32 in [0, 1].
            output: for a path: where to write; NAME.sharp.EXT beside it when None. Bytes and arrays come back without.
            settings: strength, scale, tile and the bokeh to keep.
            views: left and right dual-pixel view of the photo, for a model of two views; as `source`.
            map: where to write the defocus map, a name ending in .tiff; its coloured picture goes beside it as .png.
            overwrite: replace a file that is there.
            progress: called after every tile.

        Raises:
            InputError: a photo or a view that cannot be read, or a view of another size than the photo.
            OptionError: a map or bokeh to be kept is asked of a network that estimates no disparity; views for a
                model of one view, or none for a model of two.
            OutputError: a place that cannot be written.
        """
        started = time.perf_counter()
        target = _target(source, output)
        photo = decode(source)
        pair = None if views is None else Views(*(decode(view) for view in views))
        check_views(self.model.card, photo, pair)
        notes = photo.notes if isinstance(source, np.ndarray) else photo.notes + losses(photo, target)
        if target is not None:
            make_folder(target.parent)
            AtomicFile(target, overwrite=overwrite).check()  # before the work, not after it
        if map is not None:
            check_estimates_defocus(self.model.card)
            make_folder(Path(map).parent)
            check_files(Path(map), overwrite=overwrite)
        finished = finish(restore(photo, self.engine, self.model.card, settings or Settings(), pair), progress)
        with finished.canvas as canvas:
            result = _deliver(source, photo, canvas, target, overwrite)
        if map is not None and finished.defocus_map is not None:
            _write_map(finished.defocus_map, Path(map), self.model.card.name, overwrite=overwrite)
        return Deblurred(
            output=result,
            width=photo.width,
            height=photo.height,
            scales=finished.scales,
            blur=finished.blur,
            tile=finished.tile,
            seconds=time.perf_counter() - started,
            notes=notes,
            engine=self.engine.info,
            defocus_map=finished.defocus_map,
        )


def _deliver(
    source: Source, photo: Photo, canvas: Canvas, target: Path | None, overwrite: bool
) -> Path | bytes | np.ndarray:
    if isinstance(source, np.ndarray):
        return _as_array(source, photo, canvas)
    encoded = encode(photo, canvas, target, overwrite=overwrite)
    if target is not None:
        return target
    assert encoded is not None  # no target was given
    return encoded


def _write_map(defocus_map: DefocusMap, target: Path, method: str, *, overwrite: bool) -> None:
    write_tiff(defocus_map, target, method, overwrite=overwrite)
    write_picture(defocus_map, picture_beside(target), peak_of(defocus_map), overwrite=overwrite)


def _target(source: Source, output: str | Path | None) -> Path | None:
    if isinstance(source, np.ndarray) or (isinstance(source, bytes) and output is None):
        return None
    return Path(output) if output is not None else beside(Path(str(source)))


def beside(source: Path) -> Path:
    """NAME.sharp.EXT beside NAME.EXT; .tif for camera raw files and .jpg for HEIC, which are only read."""
    return source.with_name(f"{source.stem}.sharp{written_suffix(source)}")


def written_suffix(source: Path) -> str:
    """The ending of a result: the source's own where its format is written, else .tif (raw) or .jpg (HEIC)."""
    ending = source.suffix.lower()
    return ".tif" if ending in RAW_EXTENSIONS else ".jpg" if ending in (".heic", ".heif") else source.suffix


def deblur(
    source: Source,
    output: str | Path | None = None,
    *,
    model: str | Path = store.DEFAULT,
    engine: str = "auto",
    precision: str = "auto",
    strength: float = 1.0,
    scale: str | int = "auto",
    tile: int = 0,
    keep_bokeh: float | None = None,
    views: tuple[Source, Source] | None = None,
    map: str | Path | None = None,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Path | bytes | np.ndarray:
    """Make a photo sharp everywhere.

    Args:
        source: a path, an encoded photo as bytes, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8,
            uint16 or float32 in [0, 1], display-referred RGB.
        output: where to write; NAME.sharp.EXT beside the source when None. Bytes and arrays need none.
        model: a name that `allfocus models` lists, or the path of a weights file or its card.
        engine: "auto", "openvino", "onnxruntime" or "torch".
        precision: "auto", "float32" or "bfloat16".
        strength: 0 returns the photo, 1 adds the whole correction.
        scale: "auto", or the coarsest working scale 1, 2 or 4.
        tile: side of a tile in px; 0 chooses.
        keep_bokeh: blur radius in px from which on places are left as they were, bit for bit (before a lossy format).
        views: left and right dual-pixel view of the photo, for a model of two views; as `source`.
        map: where to write the defocus map, a name ending in .tiff; its coloured picture goes beside it as .png.
        overwrite: replace files that are there.
        progress: called after every tile.

    Returns:
        The path written, for a path; bytes of the same format, for bytes; an array of the same shape and dtype, for
        an array.

    Raises:
        AllfocusError: with what came, what was expected and what to try.
    """
    settings = Settings(strength=strength, scale=scale, tile=tile, keep_bokeh=keep_bokeh)
    ready = _ready(str(model), engine, precision)
    return ready.run(source, output, settings, views=views, map=map, overwrite=overwrite, progress=progress).output


@lru_cache(maxsize=2)
def _ready(model: str, engine: str, precision: str) -> Deblurrer:
    return Deblurrer(model, engine, precision)


def _as_array(source: np.ndarray, photo: Photo, canvas: Canvas) -> np.ndarray:
    sharp = canvas.read(Box(0, 0, canvas.width, canvas.height))
    if photo.alpha is not None:
        sharp = np.concatenate([sharp, source[..., -1:]], axis=2)
    if sharp.size != source.size:
        raise InputError(f"an array of shape {source.shape}", "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)", "reshape it")
    return sharp.reshape(source.shape)
