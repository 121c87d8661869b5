"""AVIF files as boxes (ISO/IEC 14496-12 and 23008-12): what their pixels are, and metadata put in byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import pyvips

from allfocus.photo.canvas import field
from allfocus.photo.format import Format, with_loss
from allfocus.photo.photo import SPACES, Coding, Photo

if TYPE_CHECKING:
    from allfocus.photo.decoder import Decoder
    from allfocus.photo.encoder import Encoder

EFFORT = 0  # 0.11 s of processor time a megapixel; 2 takes 0.6 s for 4 % less, the default of 4 takes some 4 s
LOSSLESS_EFFORT = 2
LIBHEIF_MATRIX = 6
"""The matrix coefficients (ITU-T H.273) that libheif codes RGB with, in full range, unless it states others."""


@dataclass(frozen=True)
class AvifCoding:
    """How an AVIF file stores its pixels: halved chroma, lossless RGB, and primaries and transfer by ITU-T H.273."""

    subsampled: bool
    lossless: bool
    cicp: tuple[int, int] | None


class Avif(Format):
    """AVIF: up to 12 bits, with loss or without."""

    name, extensions, media = "avif", (".avif",), "image/avif"
    depth, alpha, largest, quality, describes = 12, True, 16_384, 90, True

    def recognises(self, head: bytes, name: str) -> bool:
        return bool(brands(head) & {b"avif", b"avis"})

    def check(self, file: Decoder) -> None:
        if b"avis" in file.head[8:64]:
            file.notes.append("only the main picture of an image sequence was read")

    def load_options(self) -> tuple[str, dict[str, Any]]:
        return "heifload_source", {}

    def sample_bits(self, image: pyvips.Image) -> int | None:
        return field(image, "bits-per-sample")

    def orientation(self, file: Decoder, in_exif: int | None) -> int | None:
        return 1  # its own rotation boxes hold, and have been applied; EXIF only repeats them

    def coding(self, file: Decoder, header: pyvips.Image, coding: Coding) -> Coding:
        own, bits = stored_as(file.head), field(header, "bits-per-sample") or 8
        return replace(coding, bits=bits, subsampled=own.subsampled, lossless=own.lossless, cicp=own.cicp)

    def depth_of(self, photo: Photo) -> int:
        return photo.coding.bits if photo.format == self.name else 8 if photo.depth == 8 else 12

    def options(self, work: Encoder) -> dict[str, Any]:
        quality, lossless, chroma = with_loss(work, work.source_coding)
        options = {
            "Q": quality,
            "lossless": lossless,
            "effort": LOSSLESS_EFFORT if lossless else EFFORT,
            "subsample_mode": chroma,
        }
        return {**options, "bitdepth": work.depth, "compression": "av1", "keep": "icc"}

    def write(self, work: Encoder, file: BinaryIO) -> None:
        options = self.options(work)
        with work.fed() as image:
            data = work.encoded(_samples(image, work.depth).heifsave_buffer, options)
        alpha = self._exact_alpha(work, options) if work.alpha is not None and not options["lossless"] else None
        file.write(embed(data, work.photo.exif, work.photo.xmp, work.described, alpha))

    def _exact_alpha(self, work: Encoder, options: dict[str, Any]) -> bytes:
        """A file with the photo's transparency, stored without loss, over black."""
        with work.fed() as image:
            samples = _samples(image, work.depth)
            alpha = samples.extract_band(samples.bands - 1)
            black = (alpha * 0).cast(alpha.format)
            over_black = black.bandjoin([black, black, alpha]).copy(interpretation=SPACES[str(alpha.format)][1])
            return work.encoded(over_black.heifsave_buffer, options | {"lossless": True, "effort": LOSSLESS_EFFORT})


def _samples(image: pyvips.Image, depth: int) -> pyvips.Image:
    """16-bit samples of which the upper `depth` count; 8-bit ones as they are."""
    if depth <= 8:
        return image
    steps = 2**depth - 1
    samples = ((image * (steps / 65535)).rint() * 2 ** (16 - depth)).cast("ushort")
    return samples.copy(interpretation=image.interpretation)


def brands(head: bytes) -> set[bytes]:
    """The brands of an ISO media file (ISO/IEC 14496-12) from its first bytes; none of another file."""
    if head[4:8] != b"ftyp":
        return set()
    size = int.from_bytes(head[:4], "big")
    return {head[8:12]} | {head[index : index + 4] for index in range(16, min(size, len(head)), 4)}


def stored_as(head: bytes) -> AvifCoding:
    """What the properties in the first bytes of an AVIF file say of its pixels."""
    at = head.find(b"av1C")
    subsampled = at >= 0 and len(head) > at + 6 and bool(head[at + 6] & 0x08)
    at = head.find(b"colrnclx")
    if at < 0 or len(head) < at + 14:
        return AvifCoding(subsampled, False, None)
    primaries, transfer, matrix = struct.unpack_from(">HHH", head, at + 8)
    return AvifCoding(subsampled, matrix == 0, (primaries, transfer))


def embed(
    data: bytes,
    exif: bytes | None,
    xmp: bytes | None,
    cicp: tuple[int, int] | None = None,
    alpha_of: bytes | None = None,
) -> bytes:
    """AVIF data as libheif writes it, with more put in.

    Args:
        data: a whole file with one picture.
        exif, xmp: become items that describe the picture, byte for byte.
        cicp: colour primaries and transfer characteristics to state in place of those in the file.
        alpha_of: another file of the same size whose transparency replaces the file's own; libheif stores both
            with loss or both without, so a lossless one comes from a file of its own.

    Raises:
        ValueError: data without the boxes that an AVIF file has.
    """
    boxes, meta = _opened(data)
    kinds = [kind for kind, _ in meta]
    inside = dict(meta)
    primary = int.from_bytes(inside[b"pitm"][4:], "big")
    items: list[tuple[bytes, bytes]] = []
    if exif:
        items.append((b"Exif\0", struct.pack(">I", 0) + exif))
    if xmp:
        items.append((b"mime\0application/rdf+xml\0", xmp))
    if cicp:
        inside[b"iprp"] = _described(inside[b"iprp"], primary, cicp)
    locations = _Locations(inside[b"iloc"])
    fresh = locations.fresh()
    payloads = {fresh + index: payload for index, (_, payload) in enumerate(items)}
    if items:
        inside[b"iinf"] = _with_infos(inside[b"iinf"], [(fresh + index, kind) for index, (kind, _) in enumerate(items)])
        inside[b"iref"] = _with_references(inside.get(b"iref", bytes(4)), primary, range(fresh, fresh + len(items)))
        kinds += [] if b"iref" in kinds else [b"iref"]
    if alpha_of:
        payloads[_alpha(inside)] = _alpha_payload(alpha_of)

    def assembled(shift: int, end: int) -> bytes:
        inside[b"iloc"] = locations.packed(shift, end + 8, payloads)
        body = bytes(4) + b"".join(_box(kind, inside[kind]) for kind in kinds)
        return b"".join(_box(kind, body if kind == b"meta" else payload) for kind, payload in boxes)

    grown = len(assembled(0, 0)) - len(data)
    whole = assembled(grown, len(data) + grown)
    return whole + _box(b"mdat", b"".join(payloads.values())) if payloads else whole


def _opened(data: bytes) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]:
    """The boxes of a file, and those in its meta box."""
    boxes = list(_boxes(data, 0, len(data)))
    body = dict(boxes).get(b"meta", b"")
    meta = list(_boxes(body, 4, len(body)))
    if not {b"iinf", b"iloc", b"pitm", b"iprp"} <= {kind for kind, _ in meta}:
        raise ValueError("an AVIF file without items")
    return boxes, meta


def _alpha(inside: dict[bytes, bytes]) -> int:
    """The number of the item that holds the picture's transparency."""
    references = inside.get(b"iref", bytes(4))
    wide = 4 if references[0] else 2
    for kind, payload in _boxes(references, 4, len(references)):
        if kind == b"auxl":
            return int.from_bytes(payload[:wide], "big")
    raise ValueError("an AVIF file without transparency")


def _alpha_payload(data: bytes) -> bytes:
    inside = dict(_opened(data)[1])
    number = _alpha(inside)
    items = {item: (base, extents) for item, _, _, base, extents in _Locations(inside[b"iloc"]).items}
    base, extents = items[number]
    return b"".join(data[base + offset : base + offset + size] for _, offset, size in extents)


class _Locations:
    """An iloc box: where in the file each item's bytes are."""

    def __init__(self, payload: bytes):
        self.version = payload[0]
        sizes = struct.unpack_from(">H", payload, 4)[0]
        self.offset_size, self.length_size = sizes >> 12, sizes >> 8 & 15
        self.base_size, self.index_size = sizes >> 4 & 15, sizes & 15 if self.version else 0
        self.wide = 4 if self.version == 2 else 2
        self.items: list[tuple[int, int, int, int, list[tuple[int, int, int]]]] = []
        self._data, self._at = payload, 6
        for _ in range(self._number(self.wide)):
            item = self._number(self.wide)
            method = self._number(2) if self.version else 0
            reference, base = self._number(2), self._number(self.base_size)
            extents = [
                (self._number(self.index_size), self._number(self.offset_size), self._number(self.length_size))
                for _ in range(self._number(2))
            ]
            self.items.append((item, method, reference, base, extents))

    def fresh(self) -> int:
        """An item number above all others."""
        return max(item for item, *_ in self.items) + 1

    def packed(self, shift: int, end: int, payloads: dict[int, bytes]) -> bytes:
        """The box with all file offsets moved by `shift`, and the items of `payloads` lying from `end` on."""
        places: dict[int, tuple[int, int, int, int, list[tuple[int, int, int]]]] = {}
        for item, method, reference, base, extents in self.items:
            by = 0 if method & 15 else shift  # other methods do not count from the start of the file
            moved = [(index, offset if base else offset + by, size) for index, offset, size in extents]
            places[item] = (item, method, reference, base + by if base else 0, moved)
        for item, payload in payloads.items():
            places[item] = (item, 0, 0, 0, [(0, end, len(payload))])
            end += len(payload)
        out = self._data[:6] + len(places).to_bytes(self.wide, "big")
        for item, method, reference, base, extents in places.values():
            out += item.to_bytes(self.wide, "big") + (method.to_bytes(2, "big") if self.version else b"")
            out += reference.to_bytes(2, "big") + base.to_bytes(self.base_size, "big") + len(extents).to_bytes(2, "big")
            for index, offset, size in extents:
                out += index.to_bytes(self.index_size, "big") + offset.to_bytes(self.offset_size, "big")
                out += size.to_bytes(self.length_size, "big")
        return out

    def _number(self, size: int) -> int:
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > end:
            raise ValueError(f"a box of {size} bytes in an AVIF file")
        yield kind, data[start + 8 : start + size]
        start += size


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", len(payload) + 8, kind) + payload


def _with_infos(payload: bytes, items: list[tuple[int, bytes]]) -> bytes:
    wide = 4 if payload[0] else 2
    count = int.from_bytes(payload[4 : 4 + wide], "big") + len(items)
    infos = b"".join(_box(b"infe", struct.pack(">BxxxHH", 2, item, 0) + kind) for item, kind in items)
    return payload[:4] + count.to_bytes(wide, "big") + payload[4 + wide :] + infos


def _with_references(payload: bytes, primary: int, items: range) -> bytes:
    letter = "I" if payload[0] else "H"
    return payload + b"".join(_box(b"cdsc", struct.pack(f">{letter}H{letter}", item, 1, primary)) for item in items)


def _described(payload: bytes, item: int, cicp: tuple[int, int]) -> bytes:
    """An iprp box whose colour description says these primaries and transfer; a new one is added for `item`."""
    at = payload.find(b"colrnclx")
    if at >= 0:
        return payload[: at + 8] + struct.pack(">HH", *cicp) + payload[at + 12 :]
    parts = dict(_boxes(payload, 0, len(payload)))
    number = sum(1 for _ in _boxes(parts[b"ipco"], 0, len(parts[b"ipco"]))) + 1
    description = b"nclx" + struct.pack(">HHHB", *cicp, LIBHEIF_MATRIX, 0x80)
    container = parts[b"ipco"] + _box(b"colr", description)
    return _box(b"ipco", container) + _box(b"ipma", _associated(parts[b"ipma"], item, number))


def _associated(payload: bytes, item: int, number: int) -> bytes:
    """An ipma box in which `item` has property `number` as well."""
    wide, long = (4 if payload[0] else 2), payload[3] & 1
    out, at = payload[:8], 8
    for _ in range(int.from_bytes(payload[4:8], "big")):
        owner, count = payload[at : at + wide], payload[at + wide]
        end = at + wide + 1 + count * (1 + long)
        mine = int.from_bytes(owner, "big") == item
        added = number.to_bytes(1 + long, "big") if mine else b""
        out += owner + bytes([count + mine]) + payload[at + wide + 1 : end] + added
        at = end
    return out
