"""A defocus map as files: numbers in a 16-bit TIFF, and a picture with a legend for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from allfocus.atomic_file import AtomicFile
from allfocus.defocus.map import DefocusMap
from allfocus.errors import OptionError
from allfocus.photo.canvas import Canvas, vips_name
from allfocus.photo.decoder import reason
from allfocus.photo.tiling import Box

UNIT_PX = 0.01
"""One step of the TIFF in px; the largest radius that it can hold is 655.35 px."""

_STOPS = np.array([[24, 15, 61], [49, 74, 143], [33, 134, 140], [95, 194, 95], [253, 231, 55]], dtype=np.float64)
_LEGEND_PX, _BAR_PX, _MARGIN_PX = 64, 18, 12
_BACKGROUND, _INK = 24, 235
_SMALLEST_PX = 200
_PEAKS_PX, _ALMOST_ALL = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0), 0.98
STRIP_ROWS = 256


def picture_beside(numbers: Path) -> Path:
    """NAME.map.png, where the picture goes that belongs to NAME.map.tiff or NAME.tiff: never the name of a photo."""
    return numbers.with_name(f"{numbers.stem.removesuffix('.map')}.map.png")


def check_files(numbers: Path, *, picture: bool = True, overwrite: bool = False) -> None:
    """Refuse early what could not be written later: the .tiff file and, with `picture`, the one beside it.

    Raises:
        OptionError: another ending. OutputError: a place that cannot become a file.
    """
    check_ending(numbers)
    AtomicFile(numbers, overwrite=overwrite).check()
    if picture:
        AtomicFile(picture_beside(numbers), overwrite=overwrite).check()


def check_ending(numbers: Path) -> None:
    """Refuse a name for the numbers that does not end in .tiff. OptionError: another ending."""
    if numbers.suffix.lower() not in (".tif", ".tiff"):
        raise OptionError(f"{numbers.name} for the numbers", "a name ending in .tiff", f"{numbers.stem}.tiff")


def write_map(
    defocus_map: DefocusMap, numbers: Path, method: str, *, overwrite: bool = False, permissions: int | None = None
) -> None:
    """Write both files of a restored photo's map: the numbers, and the picture where `picture_beside` says."""
    write_tiff(defocus_map, numbers, method, overwrite=overwrite, permissions=permissions)
    picture = picture_beside(numbers)
    write_picture(defocus_map, picture, peak_of(defocus_map), overwrite=overwrite, permissions=permissions)


def write_tiff(
    radius_px: NDArray | DefocusMap, path: Path, method: str, *, overwrite: bool = False, permissions: int | None = None
) -> None:
    """Write the numbers, strip by strip.

    Args:
        radius_px: (H, W) blur radius in px, 0 or more; or the `DefocusMap` of a restored photo.
        path: the .tiff file; its description says in JSON what a step is: {"quantity", "unit", "step", "method"}.
        method: what estimated the map.
        overwrite, permissions: as in `AtomicFile`; the map of a private photo is private too.

    Raises:
        OutputError: the file cannot be written.
    """
    description = json.dumps({"quantity": "blur radius", "unit": "px", "step": UNIT_PX, "method": method})
    file = AtomicFile(path, overwrite=overwrite, permissions=permissions)
    with Canvas(*_size(radius_px), 1, np.uint16) as canvas, file as output:
        for box, rows in _strips(radius_px):
            canvas.write(box, _steps(rows)[..., None])
        image = canvas.image().copy(interpretation="grey16")
        image.set_type(pyvips.GValue.gstr_type, "image-description", description)
        _save(image.tiffsave, output, compression="deflate", predictor="horizontal")


def write_picture(
    radius_px: NDArray | DefocusMap, path: Path, peak_px: float, *, overwrite: bool = False,
    permissions: int | None = None,
) -> None:  # fmt: skip
    """Write a coloured PNG, dark where sharp and brightest at `peak_px`, with a legend; the rest as `write_tiff`."""
    background = [float(_BACKGROUND)] * 3
    file = AtomicFile(path, overwrite=overwrite, permissions=permissions)
    with Canvas(*_size(radius_px), 3, np.uint8) as canvas, file as output:
        for box, rows in _strips(radius_px):
            canvas.write(box, coloured(rows / peak_px))
        colours = canvas.image().copy(interpretation="srgb")
        width = max(colours.width, _SMALLEST_PX)
        if width > colours.width:
            colours = colours.gravity("centre", width, colours.height, extend="background", background=background)
        picture = colours.join(_legend(width, peak_px), "vertical", expand=True, background=background)
        _save(picture.pngsave, output)


def peak_of(radius_px: NDArray | DefocusMap) -> float:
    """A radius in px for the brightest colour: 4 and its doubles, so that maps are alike where they can be."""
    values = radius_px.signed_px if isinstance(radius_px, DefocusMap) else radius_px
    large_px = float(np.quantile(np.abs(values), _ALMOST_ALL))
    return next((peak for peak in _PEAKS_PX if large_px <= peak), _PEAKS_PX[-1])


def coloured(share: NDArray) -> NDArray[np.uint8]:
    """(H, W) values, 0 dark blue to 1 yellow and clipped beyond, as (H, W, 3) colours whose lightness only grows."""
    place = np.clip(share, 0.0, 1.0)
    stops = np.linspace(0.0, 1.0, len(_STOPS))
    return np.stack([np.rint(np.interp(place, stops, _STOPS[:, c])) for c in range(3)], axis=-1).astype(np.uint8)


def _legend(width: int, peak_px: float) -> pyvips.Image:
    bar_px = width - 2 * _MARGIN_PX
    bar = np.full((_LEGEND_PX, width, 3), _BACKGROUND, dtype=np.uint8)
    bar[_MARGIN_PX : _MARGIN_PX + _BAR_PX, _MARGIN_PX:-_MARGIN_PX] = coloured(np.linspace(0, 1, bar_px))[None]
    legend = pyvips.Image.new_from_array(bar)
    ends = ((0.0, "0"), (0.5, f"{peak_px / 2:.3g}"), (1.0, f"{peak_px:.3g} px"))
    for share, words in ends:
        text = pyvips.Image.text(words, dpi=110)
        left = round(_MARGIN_PX + share * bar_px - share * text.width)
        ink = text.embed(left, _MARGIN_PX + _BAR_PX + 6, width, _LEGEND_PX)
        legend = ink.ifthenelse([_INK] * 3, legend, blend=True)
    return legend.cast("uchar").copy(interpretation="srgb")


def _size(radius_px: NDArray | DefocusMap) -> tuple[int, int]:
    """Width and height."""
    if isinstance(radius_px, DefocusMap):
        return radius_px.width, radius_px.height
    return radius_px.shape[1], radius_px.shape[0]


def _strips(radius_px: NDArray | DefocusMap) -> Iterator[tuple[Box, NDArray]]:
    width, height = _size(radius_px)
    for y in range(0, height, STRIP_ROWS):
        box = Box(0, y, width, min(STRIP_ROWS, height - y))
        yield box, radius_px.read(box) if isinstance(radius_px, DefocusMap) else radius_px[y : y + box.height]


def _steps(rows: NDArray) -> NDArray[np.uint16]:
    return np.clip(np.rint(np.asarray(rows, dtype=np.float64) / UNIT_PX), 0, 65535).astype(np.uint16)


def _save(write: Callable[..., object], output: AtomicFile, **options: str) -> None:
    try:
        with vips_name(output.temporary) as name:
            write(name, **options)
    except pyvips.Error as error:
        raise output.refusal(reason(error)) from error
