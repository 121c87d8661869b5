"""The orientation of a photo: its pixels are turned as EXIF or XMP states, and both say 1 afterwards."""

from __future__ import annotations

import io
import re
import struct

import pyvips

from allfocus.photo.exif import EXIF_POINTER, ORIENTATION, PIXELS_ACROSS, PIXELS_DOWN, header

_IN_XMP = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))([1-8])(?=["'\s<])""")


def turned(image: pyvips.Image, orientation: int) -> pyvips.Image:
    """The picture as it is meant to be seen, from its EXIF orientation (1 to 8)."""
    if orientation == 1:
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return image.autorot()


def upright_exif(exif: bytes) -> tuple[bytes, int | None]:
    """An EXIF blob (without prefix) with its orientation set to 1, and what it was; None if it stated none.

    Where the orientation lays the picture on its side, the width and height that EXIF states change places.

    >>> upright_exif(b"not exif")
    (b'not exif', None)
    """
    patched = bytearray(exif)
    try:
        order, _, first = header(io.BytesIO(exif))
        records = _records(exif, order, first)
        at, letter = records.get(ORIENTATION, (0, None))
        if letter is None:
            return exif, None
        (was,) = struct.unpack_from(order + letter, exif, at)
        struct.pack_into(order + letter, patched, at, 1)
        if 5 <= was <= 8 and records.get(EXIF_POINTER, (0, None))[1] == "I":
            inner = _records(exif, order, struct.unpack_from(order + "I", exif, records[EXIF_POINTER][0])[0])
            across, down = inner.get(PIXELS_ACROSS), inner.get(PIXELS_DOWN)
            if across and down and across[1] == down[1]:
                patched[across[0] : across[0] + 4] = exif[down[0] : down[0] + 4]
                patched[down[0] : down[0] + 4] = exif[across[0] : across[0] + 4]
        return bytes(patched), was if 1 <= was <= 8 else 1
    except (ValueError, struct.error):
        return exif, None


def _records(exif: bytes, order: str, start: int) -> dict[int, tuple[int, str | None]]:
    """Where each tag of a directory has its value, and the `struct` letter of those that hold one whole number."""
    (count,) = struct.unpack_from(order + "H", exif, start)
    found: dict[int, tuple[int, str | None]] = {}
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", exif, at)
        found.setdefault(tag, (at + 8, {1: "B", 3: "H", 4: "I"}.get(kind) if values == 1 else None))
    return found


def upright_xmp(packet: bytes) -> tuple[bytes, int | None]:
    """A packet whose tiff:Orientation, if it states one, is 1, with nothing else changed; and what it was.

    >>> upright_xmp(b'<a tiff:Orientation="6"/>')
    (b'<a tiff:Orientation="1"/>', 6)
    >>> upright_xmp(b"<a/>")
    (b'<a/>', None)
    """
    stated = _IN_XMP.search(packet)
    return _IN_XMP.sub(rb"\g<1>1", packet), int(stated[2]) if stated else None
