"""HEIC photos, through pillow-heif (the `heic` extra)."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyvips

from allfocus.errors import AllfocusError, InputError, needs
from allfocus.photo.avif import brands
from allfocus.photo.exif import PREFIX
from allfocus.photo.format import Format
from allfocus.photo.orientation import upright_exif
from allfocus.photo.photo import Coding, Photo

if TYPE_CHECKING:
    from allfocus.photo.decoder import Decoder


class Heic(Format):
    """HEIC, which is only read."""

    name, extensions, media = "heic", (".heic", ".heif"), "image/heic"
    written, written_as = False, "jpeg"

    def recognises(self, head: bytes, name: str) -> bool:
        return bool(brands(head) & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})

    def size(self, file: Decoder) -> None:
        return None

    def read(self, file: Decoder) -> Photo:
        return decode(file.data, file.name, file.check_size)


def decode(data: bytes | Path, name: str, check_size: Callable[[int, int], None]) -> Photo:
    """Read a HEIC photo (a path or its bytes); `check_size(width, height)` may refuse it before it is decoded.

    Raises:
        MissingExtraError: pillow-heif is not installed.
        InputError: a damaged file.
    """
    with needs(f"reading {name} (HEIC)", "heic", "pillow-heif"):
        import pillow_heif  # type: ignore[import-not-found]
    try:
        file = pillow_heif.open_heif(io.BytesIO(data) if isinstance(data, bytes) else data, convert_hdr_to_8bit=False)
        check_size(*file.size)
        pixels = np.ascontiguousarray(np.asarray(file))
    except AllfocusError:
        raise
    except Exception as error:  # its parser raises whatever a damaged file leads it to
        cause = str(error).strip().partition("\n")[0]
        raise InputError(f"{name} is damaged or cut short ({cause})", "a whole HEIC file", "copy it again") from None
    height, width = pixels.shape[:2]
    bands = pixels.size // (height * width)
    kind = "uchar"
    if pixels.dtype == np.uint16:
        kind = "ushort"
        pixels = pixels | pixels >> file.info["bit_depth"]  # its low bits are zero, so white would not be white
    exif, nclx = file.info.get("exif"), file.info.get("nclx_profile")
    return Photo.from_bands(
        pyvips.Image.new_from_memory(pixels.data, width, height, bands, kind),
        "heic",
        icc=file.info.get("icc_profile"),
        exif=upright_exif(exif.removeprefix(PREFIX))[0] if exif else None,
        xmp=file.info.get("xmp"),
        coding=Coding(cicp=(nclx["color_primaries"], nclx["transfer_characteristics"]) if nclx else None),
    )
