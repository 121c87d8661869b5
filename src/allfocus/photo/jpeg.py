"""JPEG files as segments (ITU-T T.81): headers, whether all blocks are there, and metadata byte for byte.

libvips rewrites EXIF through libexif on the way out (it adds and drops tags), so it writes none.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyvips

from allfocus.photo.canvas import field
from allfocus.photo.exif import PREFIX, read
from allfocus.photo.format import Format, with_loss
from allfocus.photo.photo import Coding, Photo
from allfocus.photo.splice import Splice

if TYPE_CHECKING:
    from allfocus.photo.decoder import Decoder
    from allfocus.photo.encoder import Encoder

XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP_NAME = b"http://ns.adobe.com/xmp/extension/\0"
SEGMENT = 65_533
"""Bytes that one segment holds."""
EXIF_ROOM, XMP_ROOM = SEGMENT - len(PREFIX), SEGMENT - len(XMP_NAME)
START_BYTES = 2
"""Of the start marker, behind which metadata goes (libvips writes no JFIF segment)."""

LEAST_QUALITY = 90
"""A restored photo holds finer detail than the blurred one that its source's quality was enough for."""
PIXELS_PER_BYTE = 512
"""More than any JPEG holds: a flat progressive picture takes about one bit per block and colour channel."""

# Table K.1 and K.2 of ITU-T T.81 in zigzag order: what quality means to libjpeg and to those who speak of it
_LUMA = np.array(
    [16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
     60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
     121, 112, 100, 120, 92, 101, 103, 99]
)  # fmt: skip


@dataclass(frozen=True)
class JpegHeader:
    """What stands in a JPEG file before its first scan.

    Attributes:
        precision: bits per sample.
        process: "baseline", "progressive", "lossless" or "hierarchical".
        size: (width, height) in px as stated; the height may be 0.
        sampling: (horizontal, vertical) factors of each component.
        restarts: whether restart markers are announced.
        quality: of libjpeg's scale, the nearest to the first quantisation table; None without one.
        extended_xmp: payloads of the segments that continue an XMP packet too large for one.
        comments: number of comment segments.
        has_resolution: False where the JFIF segment says that it states none.
        pictures: how many pictures the file says it holds (MPO: stereo views, previews, gain maps).
        frame_at: byte offset of the frame header's marker.
    """

    precision: int
    process: str
    size: tuple[int, int]
    sampling: tuple[tuple[int, int], ...]
    restarts: bool
    quality: int | None
    extended_xmp: tuple[bytes, ...]
    comments: int
    pictures: int
    has_resolution: bool
    frame_at: int


class Jpeg(Format):
    """JPEG: 8 bits, no transparency; EXIF, XMP and IPTC byte for byte."""

    name, extensions, media = "jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), "image/jpeg"
    grey, largest, quality, blocks, fail_on = True, 65_500, 95, True, "warning"

    def recognises(self, head: bytes, name: str) -> bool:
        return head.startswith(b"\xff\xd8\xff")

    def check(self, file: Decoder) -> None:
        with file.opened() as stream:
            file.facts = head = header(stream)
        if head is None:
            return  # libvips says what is wrong
        if head.precision != 8:
            raise file.unfit(f"is a JPEG with {head.precision}-bit samples", "8-bit JPEG")
        if head.process in ("lossless", "hierarchical"):
            raise file.unfit(f"is a {head.process} JPEG", "a baseline or progressive one")
        file.check_size(*head.size)
        file.check_share(head.size[0] * head.size[1] / PIXELS_PER_BYTE, head.size)
        if head.comments:
            file.notes.append("the JPEG comment was left out")
        if head.pictures > 1:
            file.notes.append(f"only the first of {head.pictures} pictures in the file was read")

    def damage(self, file: Decoder) -> str | None:
        if file.facts is None:
            return None
        data = file.data if isinstance(file.data, bytes) else file.data.read_bytes()
        missing = missing_blocks(data, file.facts)
        if missing:
            return f"its data holds {abs(missing)} blocks {'less' if missing > 0 else 'more'} than the picture"
        return None

    def more(self, file: Decoder, header: pyvips.Image) -> dict[str, Any]:
        extended = file.facts.extended_xmp if file.facts else ()
        return {"iptc": field(header, "iptc-data"), "extended_xmp": extended}

    def has_resolution(self, file: Decoder) -> bool:
        return file.facts is None or file.facts.has_resolution

    def coding(self, file: Decoder, header: pyvips.Image, coding: Coding) -> Coding:
        if file.facts is None:
            return coding
        sampling = _sampling(file.facts.sampling)
        return replace(
            coding,
            subsampled=sampling == "4:2:0",
            sampling=sampling if sampling not in ("4:4:4", "4:2:0") else None,
            quality=file.facts.quality,
        )

    def losses(self, photo: Photo, quality: int | None) -> list[str]:
        lost, coding = [], photo.coding
        for name, data, room in (("EXIF", photo.exif, EXIF_ROOM), ("XMP", photo.xmp, XMP_ROOM)):
            if data and len(data) > room:
                lost.append(f"{name} of {len(data)} bytes was left out: JPEG holds {room}")
        if photo.format == self.name:
            if quality is None and coding.quality is not None and coding.quality < LEAST_QUALITY:
                lost.append(f"its JPEG quality of about {coding.quality} was raised to {LEAST_QUALITY}")
            if coding.sampling is not None:
                lost.append(f"its chroma ({coding.sampling}) was stored at full size (4:4:4)")
        return lost

    def options(self, work: Encoder) -> dict[str, Any]:
        quality, _, chroma = with_loss(work, work.source_coding)
        if work.source_coding is not None and work.source_coding.quality is not None and work.quality is None:
            quality = max(work.source_coding.quality, LEAST_QUALITY)
        # the best code tables would save 1 to 2 % of the size for three times the time and 15 bytes a pixel of memory
        return {"Q": quality, "subsample_mode": chroma, "optimize_coding": False, "keep": "icc"}

    def write(self, work: Encoder, file: BinaryIO) -> None:
        photo = work.photo
        head = segments(photo.exif, photo.xmp, photo.iptc, work.dots(), photo.extended_xmp)
        with work.fed() as image:
            Splice(file, partial(_after_start, extra=head)).run(partial(image.jpegsave_target, **self.options(work)))


def _after_start(head: bytes, extra: bytes) -> bytes | None:
    """The beginning of a file with `extra` segments behind its start marker; None while it is too short."""
    return head[:START_BYTES] + extra + head[START_BYTES:] if len(head) >= START_BYTES else None


def _sampling(factors: tuple[tuple[int, int], ...]) -> str:
    """The size of a JPEG's chroma as people write it."""
    if len(factors) != 3:
        return "4:4:4"
    (across, down), *chroma = factors
    if chroma[0] != chroma[1] or 0 in (*chroma[0], across, down):
        return "of its own kind"
    ratio = across // chroma[0][0], down // chroma[0][1]
    names = {(1, 1): "4:4:4", (2, 2): "4:2:0", (2, 1): "4:2:2", (1, 2): "4:4:0", (4, 1): "4:1:1"}
    return names.get(ratio, "of its own kind")


def header(file: BinaryIO) -> JpegHeader | None:
    """The header of a JPEG file; None if no frame is announced before the data begins or ends."""
    frame: tuple[int, int, bytes] | None = None
    quality, restarts, comments, pictures = None, False, 0, 1
    extended: list[bytes] = []
    has_resolution = True
    for marker, at, payload in _segments(file):
        if marker in _PROCESSES and frame is None and len(payload) >= 6:
            frame = marker, at, payload
        elif marker == 0xDB and quality is None:
            quality = _quality(payload)
        elif marker == 0xDD:
            restarts = payload[:2] != b"\0\0"
        elif marker == 0xFE:
            comments += 1
        elif marker == 0xE0 and payload.startswith(b"JFIF\0") and len(payload) >= 8:
            has_resolution = payload[7] != 0
        elif marker == 0xE1 and payload.startswith(EXTENDED_XMP_NAME):
            extended.append(payload)
        elif marker == 0xE2 and payload.startswith(b"MPF\0"):
            pictures = _pictures(payload[4:])
    if frame is None:
        return None
    marker, at, payload = frame
    height, width, components = struct.unpack_from(">HHB", payload, 1)
    factors = [payload[7 + 3 * index] for index in range(components) if 7 + 3 * index < len(payload)]
    return JpegHeader(
        precision=payload[0],
        process=_PROCESSES[marker],
        size=(width, height),
        sampling=tuple((factor >> 4, factor & 15) for factor in factors),
        restarts=restarts,
        quality=quality,
        extended_xmp=tuple(extended),
        comments=comments,
        pictures=pictures,
        has_resolution=has_resolution,
        frame_at=at,
    )


def missing_blocks(data: bytes, head: JpegHeader) -> int:
    """By how many blocks the data of a baseline JPEG falls short of the picture (above 0) or exceeds it (below 0).

    A hole or a span of zeros in the data shifts all that follows, mostly without a decoder noticing. So the picture is
    decoded once more, small, with a row of blocks added: an intact file ends just there, and what lies beyond comes
    out as plain grey.

    Returns:
        The number of minimum coded units; 0 for an intact file and for kinds that are not checked (progressive, with
        restart markers, CMYK, larger than 65,500 px).

    Raises:
        pyvips.Error: a file that cannot be decoded at all.
    """
    width, height = head.size
    across = max((horizontal for horizontal, _ in head.sampling), default=0)
    down = max((vertical for _, vertical in head.sampling), default=0)
    if head.process != "baseline" or head.restarts or len(head.sampling) not in (1, 3) or not across or not down:
        return 0
    if len(head.sampling) == 1:
        across = down = 1  # the blocks of a single component are not interleaved
    rows, columns = -(-height // (8 * down)), -(-width // (8 * across))
    if not height or (rows + 1) * 8 * down > 65_500 or columns < 3:
        return 0
    longer = bytearray(data)
    struct.pack_into(">H", longer, head.frame_at + 5, (rows + 1) * 8 * down)
    grey = _grey_at_end(longer, rows, columns, across, down)
    short = grey - columns
    if short <= 0:
        return 0 if short >= -1 else short + 1  # padding bits may make one block
    end = data.rfind(b"\xff\xd9")
    longer[end:] = b"\x55" * 64 + bytes(longer[end:])  # fills what is missing, or the added row if nothing is
    return short if columns <= _grey_at_end(longer, rows, columns, across, down) < grey else 0


def segments(
    exif: bytes | None,
    xmp: bytes | None,
    iptc: bytes | None = None,
    dots: tuple[int, float, float] = (0, 1, 1),
    extended_xmp: tuple[bytes, ...] = (),
) -> bytes:
    """The JFIF, EXIF, XMP and Photoshop segments that a JPEG begins with; what is over 64 kB is left out.

    `dots` are the JFIF unit (0 none, 1 inch, 2 cm) and the resolution across and down in it.
    """
    density = [min(65_535, max(1, round(value))) for value in dots[1:]]
    payloads = (
        (0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", dots[0], *density, 0, 0)),
        (0xE1, exif and PREFIX + exif),
        (0xE1, xmp and XMP_NAME + xmp),
        *((0xE1, payload) for payload in extended_xmp),
        (0xED, iptc),
    )
    return b"".join(
        struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
        for marker, payload in payloads
        if payload and len(payload) <= SEGMENT
    )


_PROCESSES = {
    0xC0: "baseline", 0xC1: "baseline", 0xC2: "progressive", 0xC3: "lossless", 0xC5: "hierarchical",
    0xC6: "hierarchical", 0xC7: "lossless", 0xC9: "arithmetic", 0xCA: "arithmetic", 0xCB: "lossless",
    0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "lossless",
}  # fmt: skip


def _segments(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Marker, offset and payload of each segment before the first scan."""
    at = START_BYTES
    while True:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (0xD9, 0xDA):
            return
        if head[1] == 0xFF:
            at += 1  # fill bytes may precede a marker
            continue
        if head[1] == 1 or 0xD0 <= head[1] <= 0xD8:
            at += 2
            continue
        (size,) = struct.unpack_from(">H", head, 2)
        yield head[1], at, file.read(max(0, size - 2))
        at += 2 + max(2, size)


def _quality(payload: bytes) -> int | None:
    """The quality from 1 to 100 whose luminance table of libjpeg is nearest to the first table of a DQT segment."""
    kind = ">u2" if payload[:1] > b"\x0f" else "u1"
    table = payload[1 : 1 + 64 * np.dtype(kind).itemsize]
    if len(table) != 64 * np.dtype(kind).itemsize:
        return None
    values = np.frombuffer(table, kind).astype(int)
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)[:, None]
    tables = np.clip((_LUMA * scale + 50) // 100, 1, 255)  # (100, 64)
    return int(qualities[np.abs(tables - values).sum(axis=1).argmin()])


def _pictures(index: bytes) -> int:
    """How many pictures an MPF index (CIPA DC-007) lists."""
    try:
        return max(1, *read(io.BytesIO(index)).numbers(0xB001), 1)
    except ValueError:
        return 1


def _grey_at_end(data: bytearray, rows: int, columns: int, across: int, down: int) -> int:
    """How many coded units at the end of the picture, with one row of them added, are plain grey."""
    image = pyvips.Image.jpegload_buffer(bytes(data), shrink=8, fail_on="none")
    pixels = image.numpy().reshape(image.height, image.width, -1)[:, : columns * across]
    missing = ((rows + 1) * down - pixels.shape[0], columns * across - pixels.shape[1])
    pixels = np.pad(pixels, ((0, max(0, missing[0])), (0, missing[1]), (0, 0)), mode="edge")
    grey = (pixels == 128).all(axis=2).reshape(rows + 1, down, columns, across).all(axis=(1, 3)).ravel()
    return len(grey) - 1 - int(np.flatnonzero(~grey)[-1]) if not grey.all() else len(grey)
