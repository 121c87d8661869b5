"""PNG of 8 and 16 bits (ISO/IEC 15948): libvips reads and writes the pixels, this file the chunks of metadata.

libvips reads no chunk behind the pixels, where ImageMagick and others put EXIF and XMP.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyvips

from allfocus.photo import icc
from allfocus.photo.exif import PREFIX
from allfocus.photo.format import Format
from allfocus.photo.photo import Coding
from allfocus.photo.splice import Splice

if TYPE_CHECKING:
    from allfocus.photo.decoder import Decoder
    from allfocus.photo.encoder import Encoder

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_CHUNK = 64 * 2**20
"""Bytes; a larger chunk is not metadata."""
XMP_KEYWORD = b"XML:com.adobe.xmp"
RAW_PROFILE = b"Raw profile type "
"""How ImageMagick spelt EXIF and XMP as text before PNG had chunks for them."""
DEFLATE_GAIN = 1032
"""How many times smaller deflate makes its input at most."""

SRGB_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
SRGB_GAMMA = 0.45455


@dataclass
class Metadata:
    """What a PNG file says beside its pixels.

    Attributes:
        exif: from its TIFF header on, or None.
        xmp: the packet, or None.
        cicp: primaries, transfer, matrix and range by ITU-T H.273, or None.
        has_resolution: pixels per metre are stated.
        has_profile: an ICC profile or the sRGB chunk.
        gamma: exponent of the encoding (0.45455 is usual), or None.
        chromaticities: white, red, green, blue as x and y, or None.
        frames: of an animation; 1 without.
        texts: number of text chunks that hold none of the above.
        damaged: names of the metadata chunks whose checksum is wrong; they are not in here.
        size: (width, height) in px as stated.
        complete: the file has its end chunk.
        raw_bytes: of the pixels before compression, from the header.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    cicp: bytes | None = None
    has_resolution: bool = False
    has_profile: bool = False
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
    frames: int = 1
    texts: int = 0
    damaged: list[str] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    complete: bool = False
    raw_bytes: int = 0


class Png(Format):
    """PNG: 8 or 16 bits, any metadata wherever it stands."""

    name, extensions, media = "png", (".png",), "image/png"
    depth, alpha, grey, describes = 16, True, True, True

    def recognises(self, head: bytes, name: str) -> bool:
        return head.startswith(SIGNATURE)

    def check(self, file: Decoder) -> None:
        with file.opened() as stream:
            file.facts = found = metadata(stream)
        file.check_size(*found.size)
        if found.complete:
            file.check_share(found.raw_bytes / DEFLATE_GAIN, found.size)
        if found.frames > 1:
            file.notes.append(f"only the first of {found.frames} frames was read")
        if found.texts:
            file.notes.append(f"{found.texts} text chunk{'s were' if found.texts > 1 else ' was'} left out")
        file.notes += [f"a damaged {kind} chunk was left out" for kind in found.damaged]

    def metadata(self, file: Decoder, header: pyvips.Image) -> tuple[bytes | None, bytes | None]:
        return file.facts.exif, file.facts.xmp

    def profile(self, file: Decoder, image: pyvips.Image) -> bytes | None:
        """A profile of the gamma and chromaticities that the file states instead of one, where they are not sRGB's."""
        found = file.facts
        if found.has_profile or found.cicp or (found.gamma is None and found.chromaticities is None):
            return None
        gamma, where = found.gamma or SRGB_GAMMA, found.chromaticities or SRGB_CHROMATICITIES
        usual = abs(gamma - SRGB_GAMMA) < 0.002
        try:
            if image.bands < 3:
                profile = None if usual else icc.grey_profile(1 / gamma)
            elif usual and np.allclose(where, SRGB_CHROMATICITIES, atol=0.002):
                profile = None
            else:
                profile = icc.rgb_profile(1 / gamma, where)
        except ValueError as error:
            file.notes.append(f"the colours that the file states were left out ({error})")
            return None
        if profile is not None:
            file.notes.append("the stated gamma and chromaticities were made an ICC profile")
        return profile

    def has_resolution(self, file: Decoder) -> bool:
        return file.facts.has_resolution

    def coding(self, file: Decoder, header: pyvips.Image, coding: Coding) -> Coding:
        cicp = file.facts.cicp
        return replace(coding, cicp=(cicp[0], cicp[1]) if cicp else None)

    def options(self, work: Encoder) -> dict[str, Any]:
        return {"compression": 3, "filter": "sub", "keep": "icc"}

    def write(self, work: Encoder, file: BinaryIO) -> None:
        described = work.described
        extra = chunks(work.photo.exif, work.photo.xmp, bytes((*described, 0, 1)) if described else None)
        spliced = partial(rewritten_head, extra=extra, resolution=work.has_resolution())
        with work.fed() as image:
            Splice(file, spliced).run(partial(image.pngsave_target, **self.options(work)))


def metadata(file: BinaryIO) -> Metadata:
    """Everything that the chunks of a PNG file say, before and behind its pixels."""
    found = Metadata()
    for kind, _, payload, whole in _chunks(file):
        if kind == b"IHDR" and len(payload) == 13:
            width, height, bits, colour = struct.unpack_from(">IIBB", payload)
            bands = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 4)
            found.size = width, height
            found.raw_bytes = height * -(-width * bits * bands // 8)
        elif kind == b"IEND":
            found.complete = True
        elif kind in _READERS:
            if whole:
                _READERS[kind](found, payload)
            else:
                found.damaged.append(kind.decode())
    return found


def chunks(exif: bytes | None, xmp: bytes | None, cicp: bytes | None = None) -> bytes:
    """The cICP, eXIf and iTXt chunks that belong behind a PNG's IHDR chunk."""
    contents = (
        (b"cICP", cicp),
        (b"eXIf", exif),
        (b"iTXt", xmp and XMP_KEYWORD + b"\0\0\0\0\0" + xmp),
    )
    return b"".join(chunk(kind, payload) for kind, payload in contents if payload)


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def rewritten_head(head: bytes, extra: bytes, *, resolution: bool) -> bytes | None:
    """The beginning of a PNG, up to its first IDAT chunk, with `extra` chunks behind IHDR.

    Args:
        head: the first bytes of the file.
        extra: whole chunks.
        resolution: False takes the pHYs chunk out, which libvips writes for photos without a resolution too.

    Returns:
        None while `head` ends before the first IDAT chunk does begin.
    """
    at, kept = len(SIGNATURE), bytearray(head[: len(SIGNATURE)])
    while at + 8 <= len(head):
        (size,) = struct.unpack_from(">I", head, at)
        kind, end = head[at + 4 : at + 8], at + 12 + size
        if kind == b"IDAT":
            return bytes(kept) + head[at:]
        if end > len(head):
            return None
        if resolution or kind != b"pHYs":
            kept += head[at:end]
        if kind == b"IHDR":
            kept += extra
        at = end
    return None


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, bytes, bool]]:
    """Kind, size and payload of each chunk (empty where it is not metadata), and whether its checksum holds."""
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if (kind == b"IHDR" or kind in _READERS) and size <= LARGEST_CHUNK:
            payload, check = file.read(size), file.read(4)
            yield kind, size, payload, check == struct.pack(">I", zlib.crc32(kind + payload))
        else:
            file.seek(size + 4, 1)
            yield kind, size, b"", True
        if kind == b"IEND":
            return


def _exif(found: Metadata, payload: bytes) -> None:
    found.exif = payload.removeprefix(PREFIX) or found.exif


def _text(found: Metadata, payload: bytes) -> None:
    """A tEXt, zTXt or iTXt chunk: XMP, EXIF as ImageMagick spelt it, or a text that is not carried."""
    keyword, _, rest = payload.partition(b"\0")
    if keyword == XMP_KEYWORD:
        compressed = rest[:1] == b"\1"
        text = rest[2:].split(b"\0", 2)[-1]
        found.xmp = _inflated(text) if compressed else text
    elif keyword.startswith(RAW_PROFILE):
        data = _raw_profile(_inflated(rest[1:]) or rest)
        if data and data.startswith(PREFIX):
            found.exif = found.exif or data.removeprefix(PREFIX)
        elif data and keyword == RAW_PROFILE + b"xmp":
            found.xmp = found.xmp or data
        else:
            found.texts += 1
    else:
        found.texts += 1


def _inflated(data: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, LARGEST_CHUNK)
    except zlib.error:
        return None


def _raw_profile(text: bytes) -> bytes | None:
    """The bytes of a profile as text: a name and a length on lines of their own, then hexadecimal digits."""
    parts = text.split(maxsplit=2)
    try:
        return bytes.fromhex(parts[2].decode("ascii"))[: int(parts[1])] if len(parts) == 3 else None
    except (ValueError, UnicodeDecodeError):
        return None


def _cicp(found: Metadata, payload: bytes) -> None:
    found.cicp = payload if len(payload) == 4 else None


def _profile(found: Metadata, payload: bytes) -> None:
    found.has_profile = True


def _gamma(found: Metadata, payload: bytes) -> None:
    if len(payload) == 4 and any(payload):
        found.gamma = struct.unpack(">I", payload)[0] / 100_000


def _chromaticities(found: Metadata, payload: bytes) -> None:
    if len(payload) == 32:
        found.chromaticities = tuple(value / 100_000 for value in struct.unpack(">8I", payload))


def _resolution(found: Metadata, payload: bytes) -> None:
    found.has_resolution = len(payload) == 9 and payload[8] == 1


def _animation(found: Metadata, payload: bytes) -> None:
    if len(payload) == 8:
        found.frames = max(1, struct.unpack_from(">I", payload)[0])


_READERS = {
    b"eXIf": _exif, b"iTXt": _text, b"tEXt": _text, b"zTXt": _text, b"cICP": _cicp, b"iCCP": _profile,
    b"sRGB": _profile, b"gAMA": _gamma, b"cHRM": _chromaticities, b"acTL": _animation,
    b"pHYs": _resolution,
}  # fmt: skip
