"""The file formats that photos are read from and written in. A new one is a file here and a line in `MODULES`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from allfocus.photo.format import Format

MODULES = {
    "jpeg": "allfocus.photo.jpeg:Jpeg",
    "png": "allfocus.photo.png:Png",
    "raw": "allfocus.photo.raw:Raw",
    "tiff": "allfocus.photo.tiff:Tiff",
    "webp": "allfocus.photo.webp:WebP",
    "avif": "allfocus.photo.avif:Avif",
    "heic": "allfocus.photo.heic:Heic",
}
"""Every format with its class, in the order in which they look at a file."""


def _loaded(place: str) -> Format:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)()


def spoken(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "a, b or c"."""
    return " or ".join([", ".join(names[:-1]), names[-1]])


READ = {name: _loaded(place) for name, place in MODULES.items()}
FORMATS = {name: format for name, format in READ.items() if format.written}

READABLE = f"a {spoken([format.title for format in FORMATS.values()])} photo"
USUAL = spoken([format.extensions[0] for format in FORMATS.values()])
"""What errors name."""

WRITABLE_EXTENSIONS = frozenset(ending for format in FORMATS.values() for ending in format.extensions)
PHOTO_EXTENSIONS = frozenset(ending for format in READ.values() for ending in format.extensions)
"""Every ending of a photo that can be read; those of `WRITABLE_EXTENSIONS` need no extra."""


def sniff(head: bytes, name: str = "") -> str | None:
    """The format that the first 64 or more bytes of a file belong to ("heic" and "raw" too), or None.

    The name counts only where the bytes cannot tell: camera raw files are TIFF inside.
    """
    return next((format.name for format in READ.values() if format.recognises(head, name)), None)


def of_name(name: str | Path) -> str | None:
    """The writable format that a file name's ending asks for, or None."""
    extension = Path(name).suffix.lower()
    return next((format.name for format in FORMATS.values() if extension in format.extensions), None)


def written_as(format: str) -> Format:
    """The format that photos of this one ("heic", "raw" and "array" too) are written in by default."""
    return FORMATS["png" if format == "array" else READ[format].written_as]


def extension(format: str) -> str:
    """The file name ending of photos of this format ("heic", "raw" and "array" become what they are written as)."""
    return written_as(format).extensions[0]
