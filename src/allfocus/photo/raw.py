"""Camera raw photos, developed by LibRaw through rawpy (the `raw` extra)."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyvips

from allfocus.errors import InputError, needs
from allfocus.photo import exif
from allfocus.photo.avif import brands
from allfocus.photo.format import Format
from allfocus.photo.orientation import upright_exif
from allfocus.photo.photo import Photo
from allfocus.photo.tiff import MARKS

if TYPE_CHECKING:
    from allfocus.photo.decoder import Decoder


class Raw(Format):
    """What cameras store before they develop it, which is only read."""

    name, title, media = "raw", "camera raw", "image/x-dcraw"
    extensions = tuple(
        """.3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl
        .sr2 .srf .srw .x3f""".split()  # noqa: SIM905
    )
    written, written_as = False, "tiff"

    def recognises(self, head: bytes, name: str) -> bool:
        if head.startswith(MARKS):  # TIFF inside: the name counts where the bytes cannot tell
            return Path(name).suffix.lower() in self.extensions or head[8:10] == b"CR"
        found = brands(head)
        other = head.startswith((b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb"))
        return other or (b"crx " in found and not found & {b"avif", b"avis"})

    def size(self, file: Decoder) -> None:
        return None

    def read(self, file: Decoder) -> Photo:
        try:
            with file.opened() as stream:
                blob = exif.blob(exif.read(stream))  # most are TIFF inside
        except (ValueError, OSError):
            blob = None
        photo = decode(file.data, file.name, file.check_size)  # upright
        return replace(photo, exif=upright_exif(blob)[0] if blob else None)


def decode(data: bytes | Path, name: str, check_size: Callable[[int, int], None]) -> Photo:
    """Develop a camera raw photo (a path or its bytes) to 16-bit sRGB with the camera's white balance.

    Raises:
        MissingExtraError: rawpy is not installed.
        InputError: a damaged file or a camera that LibRaw does not know.
    """
    with needs(f"reading {name} (camera raw)", "raw", "rawpy"):
        import rawpy  # type: ignore[import-not-found]
    try:
        with rawpy.imread(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as file:
            check_size(file.sizes.width, file.sizes.height)
            pixels = file.postprocess(use_camera_wb=True, output_bps=16, output_color=rawpy.ColorSpace.sRGB)
    except rawpy.LibRawError as error:
        cause = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise InputError(
            f"{name} cannot be developed ({cause})",
            "a camera raw file that LibRaw can read",
            "develop it to a 16-bit TIFF",
        ) from None
    height, width, bands = pixels.shape
    return Photo.from_bands(
        pyvips.Image.new_from_memory(pixels.tobytes(), width, height, bands, "ushort"),
        "raw",
        notes=("the raw file was developed to 16-bit sRGB with the camera's white balance",),
    )
