"""Photos of every kind, made without allfocus: by Pillow, by libvips, and by the PNG, TIFF and EXIF writers here."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import PIL.Image
import pyvips

SIZE = (37, 23)
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" xmp:Label="\xc3\xbcber"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)


@dataclass(frozen=True)
class Case:
    """One photo to be sent through: `coding` is "" or "lossless"; depth is bits a sample, 32 means float."""

    source: str
    target: str
    depth: int
    colour: str
    alpha: bool
    metadata: str
    orientation: int
    coding: str = ""

    def __str__(self) -> str:
        parts = (self.source, self.target, self.depth, self.colour, self.alpha and "alpha", self.metadata, self.coding)
        return "-".join(str(part) for part in parts if part) + f"-{self.orientation}"


def picture(case: Case) -> np.ndarray:
    """A smooth picture with some noise, as (height, width, bands with alpha) of the case's dtype, as stored."""
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width]
    bands = {"grey": 1, "rgb": 3}[case.colour] + case.alpha
    phase = np.arange(bands)[None, None]
    waves = 0.5 + 0.4 * np.sin(x[..., None] / 9 + phase) * np.cos(y[..., None] / 7 - phase)
    noisy = np.clip(waves + np.random.default_rng(7).normal(0, 0.02, waves.shape), 0, 1)
    if case.depth == 32:
        return noisy.astype(np.float32)
    values = np.rint(noisy * (2**case.depth - 1)).astype(np.uint16)
    if case.depth in (10, 12):
        values <<= 16 - case.depth
    return values.astype(np.uint8) if case.depth == 8 else values


def sample(case: Case) -> bytes:
    """The file of a case, made without allfocus."""
    pixels = picture(case)
    icc = icc_of(case)
    exif = exif_blob(case.orientation) if case.metadata in ("exif", "all") else None
    xmp = XMP if case.metadata in ("xmp", "all") else None
    if case.source == "tiff":
        return tiff_file(pixels, case.orientation if exif else None, bool(exif), icc, xmp)
    if case.source == "png":
        return png_file(pixels, icc, exif, xmp)
    if case.source == "avif" and (case.depth > 8 or case.coding):
        return vips_avif(pixels, case, icc, exif, xmp)
    options: dict[str, object] = {"jpeg": {"quality": 98, "subsampling": 0}, "webp": {"quality": 98, "exact": True},
                                  "avif": {"quality": 95, "subsampling": "4:4:4"}}[case.source]  # fmt: skip
    if case.coding:
        options["lossless"] = True
    given = {"icc_profile": icc, "exif": exif and (b"Exif\0\0" if case.source == "jpeg" else b"") + exif, "xmp": xmp}
    file = io.BytesIO()
    image = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(file, case.source, **options, **{name: value for name, value in given.items() if value})
    return file.getvalue()


def png_file(pixels: np.ndarray, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> bytes:
    """A PNG with its chunks written out one by one, 8 or 16 bit."""
    height, width, bands = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    scanlines = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, colour, 0, 0, 0)),
        (b"iCCP", icc and b"icc\0\0" + zlib.compress(icc)),
        (b"eXIf", exif),
        (b"iTXt", xmp and b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        (b"IDAT", zlib.compress(scanlines)),
    ]
    chunks = [(kind, payload) for kind, payload in chunks if payload] + [(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        for kind, payload in chunks
    )


def vips_avif(pixels: np.ndarray, case: Case, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> bytes:
    """A deep or lossless AVIF, which Pillow cannot write; libvips rewrites EXIF, so it goes in afterwards."""
    image = pyvips.Image.new_from_array(pixels, interpretation="srgb" if case.depth == 8 else "rgb16")
    for name, data in (("icc-profile-data", icc), ("xmp-data", xmp)):
        if data:
            image.set_type(pyvips.GValue.blob_type, name, data)
    options = {"compression": "av1", "bitdepth": case.depth, "lossless": bool(case.coding), "Q": 95, "effort": 2}
    if exif:
        image.set_type(pyvips.GValue.blob_type, "exif-data", b"Exif\0\0" + exif)
    return image.heifsave_buffer(**options, subsample_mode="off", keep="all" if exif else "icc|xmp")


def icc_of(case: Case) -> bytes | None:
    """A wide-gamut profile (Display P3), or a grey one for grey photos."""
    if case.metadata not in ("icc", "all"):
        return None
    return grey_profile() if case.colour == "grey" else pyvips.Image.profile_load("p3")


def grey_profile() -> bytes:
    """A small ICC profile for grey with gamma 1.8."""

    def text(value: str) -> bytes:
        return b"desc" + bytes(4) + struct.pack(">I", len(value) + 1) + value.encode() + b"\0" + bytes(79)

    tags = {
        b"desc": text("allfocus grey 1.8"),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D),
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IHH", 1, 0x01CD, 0),
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", head, 0, start + len(body), b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head[36:40] = b"acsp"
    struct.pack_into(">iii", head, 68, 0xF6D6, 0x10000, 0xD32D)
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


Value = tuple[int, int, bytes]

IFD0: dict[int, Value] = {
    0x010E: (2, 14, b"a blurred cat\0"),
    0x010F: (2, 9, b"Allfocus\0"),
    0x0110: (2, 9, b"Model XY\0"),
    0x0131: (2, 4, b"1.0\0"),
    0x0132: (2, 20, b"2026:11:21 02:24:00\0"),
    0x8298: (2, 3, b"me\0"),
}
EXIF_IFD: dict[int, Value] = {
    0x829A: (5, 1, struct.pack("<II", 1, 250)),
    0x829D: (5, 1, struct.pack("<II", 28, 10)),
    0x8827: (3, 1, struct.pack("<H", 400)),
    0x9000: (7, 4, b"0232"),
    0x9003: (2, 20, b"2026:11:21 02:24:00\0"),
    0x9204: (10, 1, struct.pack("<ii", -1, 3)),
    0x927C: (7, 61, b"MAKERNOTE\0" + bytes(range(51))),
    0xA001: (3, 1, struct.pack("<H", 1)),
    0xA434: (2, 9, b"50mm 1.8\0"),
    0xEA1C: (7, 5, b"\1\2\3\4\5"),
}
GPS_IFD: dict[int, Value] = {
    0x0000: (1, 4, b"\2\3\0\0"),
    0x0001: (2, 2, b"N\0"),
    0x0002: (5, 3, struct.pack("<IIIIII", 47, 1, 22, 1, 3012, 100)),
    0x0003: (2, 2, b"E\0"),
    0x0004: (5, 3, struct.pack("<IIIIII", 8, 1, 32, 1, 1234, 100)),
}
THUMBNAIL: dict[int, Value] = {0x0103: (3, 1, struct.pack("<H", 6)), 0x0112: (3, 1, struct.pack("<H", 6))}

TIFF_VALUES = {
    **{("0", tag): value for tag, (_, _, value) in IFD0.items()},
    **{("exif", tag): value for tag, (_, _, value) in EXIF_IFD.items()},
    **{("gps", tag): value for tag, (_, _, value) in GPS_IFD.items()},
}
"""Every value, little-endian, by directory and tag: what must still be there when a TIFF has been on the way."""


def directory(entries: dict[int, Value], start: int, next_directory: int = 0) -> bytes:
    """A little-endian TIFF directory that begins at `start`, its larger values behind it."""
    table, values = b"", b""
    after = start + 2 + 12 * len(entries) + 4
    for tag in sorted(entries):
        kind, count, value = entries[tag]
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", after + len(values))
        values += value + bytes(len(value) % 2) if len(value) > 4 else b""
        table += struct.pack("<HHI", tag, kind, count) + place
    return struct.pack("<H", len(entries)) + table + struct.pack("<I", next_directory) + values


def with_subdirectories(entries: dict[int, Value], start: int, thumbnail: bool) -> bytes:
    """A first directory with EXIF and GPS directories, and a thumbnail directory after it."""
    pointers = {tag: (4, 1, bytes(4)) for tag in (0x8769, 0x8825)}
    at = start + len(directory(entries | pointers, start))
    parts = b""
    for tag, part in ((0x8769, EXIF_IFD), (0x8825, GPS_IFD)):
        pointers[tag] = (4, 1, struct.pack("<I", at + len(parts)))
        parts += directory(part, at + len(parts))
    last = directory(THUMBNAIL, at + len(parts)) if thumbnail else b""
    return directory(entries | pointers, start, at + len(parts) if thumbnail else 0) + parts + last


def exif_blob(orientation: int) -> bytes:
    """An EXIF block as cameras write it: maker note, GPS, an unknown tag, a thumbnail directory."""
    entries = IFD0 | {0x0112: (3, 1, struct.pack("<H", orientation))}
    return b"II*\0" + struct.pack("<I", 8) + with_subdirectories(entries, 8, thumbnail=True)


def tiff_file(pixels: np.ndarray, orientation: int | None, tagged: bool, icc: bytes | None, xmp: bytes | None) -> bytes:
    """An uncompressed little-endian TIFF of one strip."""
    height, width, bands = pixels.shape
    colours = 3 if bands >= 3 else 1
    data = pixels.tobytes() + bytes(len(pixels.tobytes()) % 2)
    kind = 3 if pixels.dtype == np.float32 else 1

    def short(*values: int) -> Value:
        return 3, len(values), struct.pack(f"<{len(values)}H", *values)

    entries: dict[int, Value] = {
        256: short(width), 257: short(height), 258: short(*[8 * pixels.dtype.itemsize] * bands), 259: short(1),
        262: short(2 if colours == 3 else 1), 273: (4, 1, struct.pack("<I", 8)), 277: short(bands), 278: short(height),
        279: (4, 1, struct.pack("<I", pixels.nbytes)), 284: short(1), 339: short(*[kind] * bands),
    }  # fmt: skip
    if bands > colours:
        entries[338] = short(2)
    if orientation:
        entries[274] = short(orientation)
    if icc:
        entries[34675] = (7, len(icc), icc)
    if xmp:
        entries[700] = (1, len(xmp), xmp)
    start = 8 + len(data)
    first = with_subdirectories(entries | IFD0, start, thumbnail=False) if tagged else directory(entries, start)
    return b"II*\0" + struct.pack("<I", start) + data + first
