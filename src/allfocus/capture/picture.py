"""Pictures of a session on disk, and the part of one that every view saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.atomic_file import write_bytes
from allfocus.capture.frame import Image
from allfocus.errors import OptionError
from allfocus.photo.picture import picture_of

MULTIPLE = 8
BITS = (8, 16)


def write_png(picture: Image, path: Path, bits: int) -> None:
    """Display-referred float32 (H, W, 3) in [0, 1] as PNG, written beside and renamed.

    Raises:
        OptionError: neither 8 nor 16 bits. OutputError: the place cannot be written.
    """
    if bits not in BITS:
        raise OptionError(f"--bits {bits}", "8 or 16", "leave it out")
    if path.suffix.lower() != ".png":
        raise OptionError(f"{path.name}", "a name that ends in .png", f"{path.stem}.png")
    write_bytes(path, picture_of(picture, bits).pngsave_buffer())


def write_preview(picture: Image, path: Path, longest_px: int = 640) -> None:
    """The same as a small JPEG for a page. OutputError: the place cannot be written."""
    image = picture_of(picture)
    factor = min(1.0, longest_px / max(image.width, image.height))
    write_bytes(path, image.resize(factor).jpegsave_buffer(Q=90))


def largest_box(seen: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(x, y, width, height) inside which everything was seen: shrunk from the worst side, then to multiples of 8."""
    top, bottom, left, right = 0, seen.shape[0], 0, seen.shape[1]
    while bottom - top > MULTIPLE and right - left > MULTIPLE:
        sides = {
            "top": seen[top, left:right], "bottom": seen[bottom - 1, left:right],
            "left": seen[top:bottom, left], "right": seen[top:bottom, right - 1],
        }  # fmt: skip
        missing = {name: 1 - float(line.mean()) for name, line in sides.items()}
        worst = max(missing, key=lambda name: missing[name])
        if missing[worst] == 0:
            break
        top, bottom = top + (worst == "top"), bottom - (worst == "bottom")
        left, right = left + (worst == "left"), right - (worst == "right")
    width, height = (right - left) // MULTIPLE * MULTIPLE, (bottom - top) // MULTIPLE * MULTIPLE
    return left, top, width, height
