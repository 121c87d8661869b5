"""EXIF as TIFF directories: reading, and moving between TIFF files and blobs.

TIFF files have no EXIF block: its tags stand among those that say how the pixels are stored, and libvips writes none
of them. `blob` gathers them from a TIFF into the block that other formats carry, `append` puts such a block's tags
into a finished TIFF. Values are moved as bytes, turned only where the byte orders of the two files differ; text,
maker notes and other opaque values are never touched.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

PREFIX = b"Exif\0\0"

ORIENTATION = 0x0112
EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER = 0x8769, 0x8825, 0xA005
PIXELS_ACROSS, PIXELS_DOWN = 0xA002, 0xA003
RESOLUTIONS, RESOLUTION_UNIT = (282, 283), 296
POINTERS = (EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER)

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WORDS = {3: 2, 8: 2, 4: 4, 5: 4, 9: 4, 10: 4, 11: 4, 13: 4, 12: 8, 16: 8, 17: 8, 18: 8}

LARGEST_VALUE = 4 * 2**20
"""Bytes; larger values (strip tables, Photoshop layers) are not metadata."""

STRUCTURE = frozenset(
    [
        *range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(290, 294), 300, 317, *range(320, 326),
        330, 332, *range(334, 348), *range(512, 522), *range(529, 533), 559, 700, 32781, 33421, 33422, 34377, 34675,
        37724, *range(50706, 51200),
    ]
)  # fmt: skip
"""Tags of a TIFF that say how its pixels are stored, or that travel apart from EXIF (XMP, ICC)."""

WRITTEN_BY_VIPS = frozenset({ORIENTATION, *RESOLUTIONS, RESOLUTION_UNIT})


@dataclass(frozen=True)
class ExifEntry:
    """One tag: its TIFF type, how many values, and their bytes in the byte order of the file they came from."""

    kind: int
    count: int
    value: bytes


Directory = dict[int, "ExifEntry | Directory"]


@dataclass(frozen=True)
class Tags:
    """The first directory of a TIFF file or EXIF blob by tag number, with EXIF, GPS and interoperability inside.

    `order`, "<" or ">", is the byte order of all values.
    """

    order: str
    entries: Directory

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The whole numbers of a tag of the first directory; empty if it is missing or holds no such."""
        entry = self.entries.get(tag)
        letter = (
            {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(entry.kind)
            if isinstance(entry, ExifEntry)
            else None
        )
        if not isinstance(entry, ExifEntry) or letter is None:
            return ()
        return struct.unpack(f"{self.order}{entry.count}{letter}", entry.value)


def read(file: BinaryIO) -> Tags:
    """The tags of a TIFF or BigTIFF file, or of an EXIF blob without prefix. Tags that are damaged are left out.

    Raises:
        ValueError: not a TIFF, or a first directory that cannot be reached.
    """
    order, big, first = header(file)
    return Tags(order, _directory(file, order, big, first, POINTERS))


def without_resolution(file: BinaryIO) -> None:
    """Make a finished TIFF state no resolution: 1 by 1 without a unit, as the standard asks of such files.

    Raises:
        ValueError: a file that is not a TIFF.
    """
    order, big, first = header(file)
    count_letter, record, slot = ("Q", 20, "Q") if big else ("H", 12, "I")
    file.seek(first)
    (count,) = struct.unpack(order + count_letter, file.read(struct.calcsize(count_letter)))
    table = first + struct.calcsize(count_letter)
    for at in range(table, table + count * record, record):
        file.seek(at)
        raw = file.read(record)
        (tag,) = struct.unpack_from(order + "H", raw)
        value = record - struct.calcsize(slot)
        if tag == RESOLUTION_UNIT:
            file.seek(at + value)
            file.write(struct.pack(order + "H", 1))
        elif tag in RESOLUTIONS:
            file.seek(at + value if big else struct.unpack_from(order + slot, raw, value)[0])
            file.write(struct.pack(order + "II", 1, 1))


def blob(tags: Tags) -> bytes | None:
    """The EXIF block of a TIFF's tags, in the TIFF's byte order, or None if it has nothing to say."""
    entries = {tag: entry for tag, entry in tags.entries.items() if tag not in STRUCTURE}
    if not set(entries) - WRITTEN_BY_VIPS:
        return None
    mark = b"II" if tags.order == "<" else b"MM"
    return mark + struct.pack(tags.order + "HI", 42, 8) + packed(entries, 8, tags.order, big=False)


def append(file: BinaryIO, exif: bytes) -> None:
    """Add the tags of an EXIF blob (without prefix) to a finished TIFF or BigTIFF file, open for reading and writing.

    The file's own tags stay; its first directory moves to the end. The blob's thumbnail directory is not taken along.

    Raises:
        ValueError: a file or blob that is not a TIFF inside.
    """
    tags = read(io.BytesIO(exif))
    order, big, first = header(file)
    count_letter, record, slot = ("Q", 20, "Q") if big else ("H", 12, "I")
    file.seek(first)
    (count,) = struct.unpack(order + count_letter, file.read(struct.calcsize(count_letter)))
    kept: dict[int, bytes] = {}
    for _ in range(count):
        raw = file.read(record)
        kept[struct.unpack_from(order + "H", raw)[0]] = raw
    unwanted = STRUCTURE | WRITTEN_BY_VIPS | set(kept)
    entries = {tag: entry for tag, entry in tags.entries.items() if tag not in unwanted}
    if not entries:
        return
    if tags.order != order:
        entries = _turned(entries)
    end = file.seek(0, io.SEEK_END)
    start = end + -end % 8
    file.write(bytes(start - end) + packed(entries, start, order, big=big, kept=kept))
    file.seek(8 if big else 4)
    file.write(struct.pack(order + slot, start))


def header(file: BinaryIO) -> tuple[str, bool, int]:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise ValueError("no TIFF header")
    (version,) = struct.unpack_from(order + "H", head, 2)
    big = version == 43 and len(head) == 16
    if not big and version != 42:
        raise ValueError("no TIFF header")
    (first,) = struct.unpack_from(order + "Q", head, 8) if big else struct.unpack_from(order + "I", head, 4)
    if first >= end:
        raise ValueError("a directory beyond the end of the file")
    return order, big, first


def _directory(file: BinaryIO, order: str, big: bool, start: int, pointers: tuple[int, ...]) -> Directory:
    count_letter, record, slot = ("Q", 20, "Q") if big else ("H", 12, "I")
    end = file.seek(0, io.SEEK_END)
    file.seek(min(start, end))
    try:
        (count,) = struct.unpack(order + count_letter, file.read(struct.calcsize(count_letter)))
    except struct.error:
        raise ValueError("a directory beyond the end of the file") from None
    table = file.read(min(count, 65_535) * record)
    entries: Directory = {}
    for at in range(0, len(table) - record + 1, record):
        tag, kind, values = struct.unpack_from(order + "HH" + slot, table, at)
        inline = table[at + record - struct.calcsize(slot) : at + record]
        size = SIZES.get(kind, 0) * values
        if not 0 < size <= LARGEST_VALUE:
            continue
        (place,) = struct.unpack(order + slot, inline)
        if tag in pointers:
            inner = tuple(pointer for pointer in pointers if pointer == INTEROPERABILITY_POINTER != tag)
            if kind in (3, 4, 13, 16, 18):
                place = struct.unpack_from(order + {3: "H", 16: "Q", 18: "Q"}.get(kind, "I"), inline)[0]
                try:
                    entries[tag] = _directory(file, order, big, place, inner)
                except ValueError:
                    continue
            continue
        if size <= len(inline):
            value = inline[:size]
        elif place + size <= end:
            file.seek(place)
            value = file.read(size)
        else:
            continue
        if len(value) == size:
            entries[tag] = ExifEntry(kind, values, value)
    return entries


def packed(entries: Directory, start: int, order: str, *, big: bool, kept: dict[int, bytes] | None = None) -> bytes:
    """A directory as bytes that begin at `start` of the file, with the values and directories it points to after it.

    `kept` are whole records (tag to bytes) to be repeated as they are.
    """
    count_letter, slot = ("Q", "Q") if big else ("H", "I")
    records = dict(kept or {})
    known = {tag: entry for tag, entry in entries.items() if not isinstance(entry, ExifEntry) or big or entry.kind < 16}
    room = struct.calcsize(slot)
    total = len(records) + len(known)
    head = struct.calcsize(count_letter) + total * (20 if big else 12) + room
    tail = bytearray()
    for tag, entry in known.items():
        place = start + head + len(tail)
        if isinstance(entry, ExifEntry):
            kind, count, value = entry.kind, entry.count, entry.value
        else:
            kind, count, value = (18 if big else 4), 1, struct.pack(order + slot, place)
            tail += packed(entry, place, order, big=big)
        if len(value) > room:
            tail += value
            value = struct.pack(order + slot, place)
        records[tag] = struct.pack(order + "HH" + slot, tag, kind, count) + value.ljust(room, b"\0")
        tail += bytes(-(head + len(tail)) % 2)
    body = b"".join(records[tag] for tag in sorted(records))
    return struct.pack(order + count_letter, total) + body + bytes(room) + bytes(tail)


def _turned(entries: Directory) -> Directory:
    """The same values in the other byte order."""
    turned: Directory = {}
    for tag, entry in entries.items():
        if isinstance(entry, ExifEntry):
            width = WORDS.get(entry.kind, 1)
            value = np.frombuffer(entry.value, f"u{width}").byteswap().tobytes() if width > 1 else entry.value
            turned[tag] = ExifEntry(entry.kind, entry.count, value)
        else:
            turned[tag] = _turned(entry)
    return turned
