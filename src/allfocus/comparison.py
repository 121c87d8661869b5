"""The before/after picture: both photos side by side, and enlarged crops of the areas that changed most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvips

from allfocus.atomic_file import AtomicFile
from allfocus.photo.canvas import Canvas, vips_name
from allfocus.photo.color import for_display
from allfocus.photo.decoder import reason
from allfocus.photo.photo import Photo

PANEL_PX = 900
CROP_PX = 220
CROPS = 3
GAP_PX = 8
QUALITY = 90
WHITE = [255.0]


def write_comparison(before: Photo, after: Canvas, target: Path, *, overwrite: bool = False) -> None:
    """Write a JPEG in sRGB with the photo before (left) and after (right), and enlarged crops of both below.

    `after` has the photo's bands, dtype and size. OutputError if the target cannot be written.
    """
    pictures = [for_display(image, before.icc, before.alpha) for image in (before.image, after.image())]
    shrink = min(1.0, PANEL_PX / max(before.width, before.height))
    whole = _row([picture.resize(shrink) if shrink < 1 else picture for picture in pictures])
    rows = [whole]
    side = min(CROP_PX, before.width, before.height)
    enlarge = (whole.width - GAP_PX) / 2 / side
    for x, y in _most_changed(pictures[0], pictures[1], side):
        rows.append(_row([picture.crop(x, y, side, side).resize(enlarge, kernel="cubic") for picture in pictures]))
    sheet = rows[0]
    for row in rows[1:]:  # below each other; the cells of `arrayjoin` would all be as high as the highest
        sheet = sheet.join(row, "vertical", expand=True, shim=GAP_PX, background=WHITE)
    with AtomicFile(target, overwrite=overwrite, permissions=before.permissions) as output:
        try:
            with vips_name(output.temporary) as name:
                sheet.jpegsave(name, Q=QUALITY)
        except pyvips.Error as error:
            raise output.refusal(reason(error)) from error


def _row(pictures: list[pyvips.Image]) -> pyvips.Image:
    return pyvips.Image.arrayjoin(pictures, across=2, shim=GAP_PX, background=WHITE)


def _most_changed(before: pyvips.Image, after: pyvips.Image, side: int) -> list[tuple[int, int]]:
    """Top left corners of up to three separate squares where the two differ most."""
    change = (after.cast("float") - before.cast("float")).abs().bandmean()
    cells = change.shrink(side, side)
    changes = cells.numpy().reshape(cells.height, cells.width)  # one pixel alone comes as a number
    corners = []
    for index in np.argsort(changes, axis=None)[::-1][:CROPS]:
        row, column = np.unravel_index(index, changes.shape)
        corners.append((min(int(column) * side, before.width - side), min(int(row) * side, before.height - side)))
    return corners
