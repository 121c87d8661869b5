"""The file formats: how to know one, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """What a file format can hold.

    Attributes:
        name: "jpeg", "png", "tiff", "webp" or "avif".
        extensions: file name endings, the usual one first.
        depth: the deepest samples, in bits (32 means float).
        alpha: whether transparency can be kept.
        grey: whether a single channel can be kept as such.
        largest: longest side in pixels.
    """

    name: str
    extensions: tuple[str, ...]
    depth: int
    alpha: bool
    grey: bool
    largest: int

    @property
    def title(self) -> str:
        """The name as people write it."""
        return {"webp": "WebP"}.get(self.name, self.name.upper())


FORMATS = {
    format.name: format
    for format in (
        Format("jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), depth=8, alpha=False, grey=True, largest=65_500),
        Format("png", (".png",), depth=16, alpha=True, grey=True, largest=2**31 - 1),
        Format("tiff", (".tif", ".tiff"), depth=32, alpha=True, grey=True, largest=2**31 - 1),
        Format("webp", (".webp",), depth=8, alpha=True, grey=False, largest=16_383),
        Format("avif", (".avif",), depth=12, alpha=True, grey=False, largest=16_384),
    )
}

READABLE = "a JPEG, PNG, TIFF, WebP or AVIF photo"

WRITTEN_AS = {"heic": "jpeg", "raw": "tiff", "array": "png"}
"""The format that a photo is written in by default where its own cannot be."""

RAW_EXTENSIONS = frozenset(
    """.3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl
    .sr2 .srf .srw .x3f""".split()  # noqa: SIM905
)


HEIC_EXTENSIONS = frozenset({".heic", ".heif"})
WRITABLE_EXTENSIONS = frozenset(ending for format in FORMATS.values() for ending in format.extensions)
PHOTO_EXTENSIONS = WRITABLE_EXTENSIONS | HEIC_EXTENSIONS | RAW_EXTENSIONS
"""Every ending of a photo that can be read; those of `WRITABLE_EXTENSIONS` need no extra."""


def sniff(head: bytes, name: str = "") -> str | None:
    """The format that the first 64 or more bytes of a file belong to ("heic" and "raw" too), or None.

    The name counts only where the bytes cannot tell: camera raw files are TIFF inside.
    """
    extension = Path(name).suffix.lower()
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "raw" if extension in RAW_EXTENSIONS or head[8:10] == b"CR" else "tiff"
    if head.startswith((b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")):
        return "raw"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return None


def of_name(name: str | Path) -> str | None:
    """The writable format that a file name's ending asks for, or None."""
    extension = Path(name).suffix.lower()
    return next((format.name for format in FORMATS.values() if extension in format.extensions), None)


def extension(format: str) -> str:
    """The file name ending of photos of this format ("heic", "raw" and "array" become what they are written as)."""
    return FORMATS[WRITTEN_AS.get(format, format)].extensions[0]


def _brand(head: bytes) -> str | None:
    size = int.from_bytes(head[:4], "big")
    brands = {head[8:12]} | {head[index : index + 4] for index in range(16, min(size, len(head)), 4)}
    if brands & {b"avif", b"avis"}:
        return "avif"
    if b"crx " in brands:
        return "raw"
    return "heic" if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"} else None
