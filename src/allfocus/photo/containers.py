"""Metadata put into finished JPEG, PNG, WebP and AVIF data byte for byte.

libvips rewrites EXIF through libexif on the way out (it adds and drops tags), so it is told to write none.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import BinaryIO

from allfocus.photo.exif import PREFIX

XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
IPTC_NAME = b"Photoshop 3.0\0"
SEGMENT = 65_533
"""Bytes that one JPEG segment holds."""
EXIF_ROOM, XMP_ROOM = SEGMENT - len(PREFIX), SEGMENT - len(XMP_NAME)


def jpeg_segments(
    exif: bytes | None, xmp: bytes | None, iptc: bytes | None = None, dots: tuple[int, float, float] = (0, 1, 1)
) -> bytes:
    """The JFIF, EXIF, XMP and Photoshop segments that a JPEG begins with; what is over 64 kB is left out.

    `dots` are the JFIF unit (0 none, 1 inch, 2 cm) and the resolution across and down in it.
    """
    density = [min(65_535, max(1, round(value))) for value in dots[1:]]
    payloads = (
        (0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", dots[0], *density, 0, 0)),
        (0xE1, exif and PREFIX + exif),
        (0xE1, xmp and XMP_NAME + xmp),
        (0xED, iptc),
    )
    return b"".join(
        struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
        for marker, payload in payloads
        if payload and len(payload) <= SEGMENT
    )


JPEG_ROOM = 2
"""Where in a JPEG these segments go: behind the start marker (libvips writes no JFIF segment)."""


def png_chunks(exif: bytes | None, xmp: bytes | None, cicp: bytes | None = None) -> bytes:
    """The cICP, eXIf and iTXt chunks that belong behind a PNG's IHDR chunk."""
    chunks = (
        (b"cICP", cicp),
        (b"eXIf", exif),
        (b"iTXt", xmp and b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    )
    return b"".join(
        struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        for kind, payload in chunks
        if payload
    )


PNG_ROOM = 33
"""Where in a PNG these chunks go: behind the signature and IHDR."""


def png_cicp(file: BinaryIO) -> bytes | None:
    """The four bytes of a PNG's cICP chunk (primaries, transfer, matrix, range), or None."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        (size,) = struct.unpack_from(">I", head)
        if head[4:] == b"cICP" and size == 4:
            return file.read(4)
        file.seek(size + 4, 1)
    return None


def webp(data: bytes, exif: bytes | None, xmp: bytes | None, size: tuple[int, int], alpha: bool) -> bytes:
    """WebP data with EXIF and XMP chunks; `size` is (width, height) in pixels."""
    chunks = [(kind, payload) for kind, payload in _riff(data) if kind not in (b"EXIF", b"XMP ")]
    if not exif and not xmp:
        return data
    flags = 0x20 * any(kind == b"ICCP" for kind, _ in chunks) + 0x10 * alpha + 0x08 * bool(exif) + 0x04 * bool(xmp)
    canvas = struct.pack("<I", flags) + b"".join(struct.pack("<I", side - 1)[:3] for side in size)
    chunks = [(b"VP8X", canvas), *((kind, payload) for kind, payload in chunks if kind != b"VP8X")]
    chunks += [(kind, payload) for kind, payload in ((b"EXIF", exif), (b"XMP ", xmp)) if payload]
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2) for kind, payload in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_is_lossless(file: BinaryIO) -> bool:
    """Whether a WebP file's picture is stored without loss."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        if head[:4] in (b"VP8L", b"VP8 ", b"ANIM"):
            return head[:4] == b"VP8L"
        (size,) = struct.unpack_from("<I", head, 4)
        file.seek(size + size % 2, 1)
    return False


def _riff(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return chunks


UPRIGHT_XMP = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))[2-8](?=["'\s<])""")


def upright_xmp(xmp: bytes) -> bytes:
    """An XMP packet whose tiff:Orientation, if it states one, is 1; nothing else is changed.

    >>> upright_xmp(b'<a tiff:Orientation="6"/>')
    b'<a tiff:Orientation="1"/>'
    """
    return UPRIGHT_XMP.sub(rb"\g<1>1", xmp)
