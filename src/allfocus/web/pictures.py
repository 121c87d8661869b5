"""Pictures and numbers for the page: previews, finished tiles, the cells of the defocus map."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pyvips

from allfocus.defocus.files import UNIT_PX, peak_of, write_picture, write_tiff
from allfocus.defocus.map import DefocusMap
from allfocus.photo.photo import Photo
from allfocus.photo.picture import picture_of


def write_tile(sharp: np.ndarray, path: Path, quality: int) -> None:
    """(h, w, 3) in [0, 1] as a JPEG."""
    picture_of(sharp).jpegsave(str(path), Q=quality)


def write_preview(photo: Photo, path: Path) -> None:
    """A photo as an 8-bit PNG in sRGB."""
    image = photo.image
    if photo.depth == 32:
        image = (image * 255).rint().cast("uchar")
    elif photo.depth == 16:
        image = (image >> 8).cast("uchar")
    image = image.copy(interpretation="srgb" if image.bands == 3 else "b-w")
    if photo.icc:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", photo.icc)  # type: ignore[arg-type]
        image = image.icc_transform("srgb", embedded=True)
    save = {"compression": 1, "keep": "none"}
    image.pngsave(str(path), **save)


def write_cells(radius: DefocusMap, path: Path) -> None:
    """The map as the network estimates it, one value per cell: JSON with unsigned 16-bit numbers in base64."""
    cells = np.clip(np.rint(np.abs(radius.signed_px) / UNIT_PX), 0, 65535).astype("<u2")
    stored = {
        "width": radius.width,
        "height": radius.height,
        "cell_px": radius.cell_px,
        "columns": cells.shape[1],
        "rows": cells.shape[0],
        "step_px": UNIT_PX,
        "peak_px": peak_of(radius),
        "radius": base64.b64encode(cells.tobytes()).decode(),
    }
    path.write_text(json.dumps(stored), encoding="utf-8")


def read_cells(path: Path) -> DefocusMap:
    """The map that `write_cells` wrote, without the side of the focus."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    radius = DefocusMap(stored["width"], stored["height"], stored["cell_px"])
    cells = np.frombuffer(base64.b64decode(stored["radius"]), "<u2").reshape(stored["rows"], stored["columns"])
    radius.signed_px = cells.astype(np.float32) * np.float32(stored["step_px"])
    return radius


def write_map(cells: Path, output: Path, method: str) -> None:
    """A map's cells as what `allfocus deblur --map` writes: numbers for .tiff, a picture with a legend for .png."""
    radius = read_cells(cells)
    if output.suffix == ".png":
        write_picture(radius, output, peak_of(radius), overwrite=True)
    else:
        write_tiff(radius, output, method, overwrite=True)
