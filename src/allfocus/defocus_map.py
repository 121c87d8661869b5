"""A defocus map as files: numbers in a 16-bit TIFF, and a picture with a legend for people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray

from allfocus.photo.output import Beside

UNIT_PX = 0.01
"""One step of the TIFF in px; the largest radius that it can hold is 655.35 px."""

_STOPS = np.array([[24, 15, 61], [49, 74, 143], [33, 134, 140], [95, 194, 95], [253, 231, 55]], dtype=np.float64)
_LEGEND_PX, _BAR_PX, _MARGIN_PX = 64, 18, 12
_BACKGROUND, _INK = 24, 235
_SMALLEST_PX = 200


def write_tiff(radius_px: NDArray, path: Path, method: str, *, overwrite: bool = False) -> None:
    """Write the numbers.

    Args:
        radius_px: (H, W) blur radius in px, 0 or more.
        path: the .tiff file; its description says in JSON what a step is: {"quantity", "unit", "step", "method"}.
        method: what estimated the map.
        overwrite: replace a file that is there.

    Raises:
        OutputError: the file cannot be written; nothing is left behind.
    """
    steps = np.clip(np.rint(np.asarray(radius_px, dtype=np.float64) / UNIT_PX), 0, 65535).astype(np.uint16)
    description = json.dumps({"quantity": "blur radius", "unit": "px", "step": UNIT_PX, "method": method})
    with Beside(path, overwrite=overwrite) as output:
        tifffile.imwrite(
            output.temporary,
            steps,
            photometric="minisblack",
            compression="zlib",
            predictor=True,
            description=description,
            metadata=None,
        )


def read_tiff(path: Path) -> NDArray[np.float32]:
    """The radius in px, (H, W) float32, from a file that `write_tiff` wrote."""
    with tifffile.TiffFile(path) as file:
        step = json.loads(file.pages[0].tags["ImageDescription"].value)["step"]  # type: ignore[union-attr]
        return file.asarray().astype(np.float32) * np.float32(step)


def write_picture(radius_px: NDArray, path: Path, peak_px: float, *, overwrite: bool = False) -> None:
    """Write a coloured PNG, dark where sharp, with a bar below that says which colour is how many px.

    Args:
        radius_px: (H, W) blur radius in px.
        path: the .png file.
        peak_px: radius of the brightest colour.
        overwrite: replace a file that is there.

    Raises:
        OutputError: the file cannot be written; nothing is left behind.
    """
    colours = pyvips.Image.new_from_array(coloured(np.asarray(radius_px) / peak_px))
    width = max(colours.width, _SMALLEST_PX)
    background = [float(_BACKGROUND)] * 3
    if width > colours.width:
        colours = colours.gravity("centre", width, colours.height, extend="background", background=background)
    with Beside(path, overwrite=overwrite) as output:
        picture = colours.join(_legend(width, peak_px), "vertical", expand=True, background=background)
        try:
            picture.pngsave(str(output.temporary))
        except pyvips.Error as error:
            raise output.refusal(str(error).strip().splitlines()[0]) from error


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
