"""TIFF files: what libvips makes of their tags, and EXIF tags put into a finished file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import pyvips

from allfocus.photo import exif
from allfocus.photo.canvas import field, vips_name
from allfocus.photo.format import Format
from allfocus.photo.photo import Coding
from allfocus.photo.png import DEFLATE_GAIN

if TYPE_CHECKING:
    from allfocus.photo.decoder import Decoder
    from allfocus.photo.encoder import Encoder

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SMALL_BYTES = 3_900_000_000
LARGEST_BANDS = 5
"""CMYK and transparency."""

COMPRESSIONS = {1: "none", 5: "lzw"}
COLOURS = {8: "CIELAB", 9: "CIELAB", 10: "CIELAB", 32844: "LogL", 32845: "LogLuv"}
RAW_TAGS = (50706, 33421)
"""DNGVersion and CFARepeatPatternDim: a TIFF with one of these is a camera raw file whatever its name."""

UNREAD = {
    33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 33007: "JPEG 2000", 34712: "JPEG 2000",
    34661: "JBIG", 34887: "LERC", 34892: "lossy DNG", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
"""Compressions that libtiff may have been built without."""
LAYERS, RESOURCES = 37724, 34377
LEAST_SHARE = {1: 1.0, 5: 1 / 1500, 8: 1 / DEFLATE_GAIN, 32946: 1 / DEFLATE_GAIN, 32773: 1 / 64}
"""TIFF compression to how small it can make a picture at the most."""


class Tiff(Format):
    """TIFF and BigTIFF: 8 or 16 bits or floats, strips or tiles; EXIF as tags of its own."""

    name, extensions, media = "tiff", (".tif", ".tiff"), "image/tiff"
    depth, alpha, grey = 32, True, True

    def recognises(self, head: bytes, name: str) -> bool:
        return head.startswith(MARKS)

    def check(self, file: Decoder) -> None:
        try:
            with file.opened() as stream:
                file.facts = tags = exif.read(stream)
        except (ValueError, OSError) as error:
            raise file.damaged(str(error)) from None
        if any(tag in tags.entries for tag in RAW_TAGS):
            file.become("raw")
            return
        size = max(tags.numbers(256), default=0), max(tags.numbers(257), default=0)
        file.check_size(*size)
        if (bands := max(tags.numbers(277), default=1)) > LARGEST_BANDS:
            raise file.unfit(f"has {bands} channels", "grey or RGB, with or without transparency")
        bits = max(tags.numbers(258), default=1)
        kind = {2: "signed integer", 3: "float", 5: "complex", 6: "complex"}.get(max(tags.numbers(339), default=1))
        if (kind == "float" and bits > 32) or (kind is None and bits > 16) or kind in ("signed integer", "complex"):
            raise file.unfit_samples(f"has {bits}-bit {kind or 'integer'} samples")
        colour = COLOURS.get(max(tags.numbers(262), default=2))
        if colour:
            raise file.unfit(f"holds {colour} colour", "grey, RGB or CMYK")
        share = LEAST_SHARE.get(max(tags.numbers(259), default=1), 0.0)
        file.check_share(share * size[0] * size[1] * bands * bits / 8, size)
        if LAYERS in tags.entries:
            file.notes.append("Photoshop layers were left out")
        if RESOURCES in tags.entries:
            file.notes.append("the Photoshop block was left out")
        if kind == "float" and bits < 32:
            file.notes.append(f"{bits}-bit float samples were widened to 32 bit")
        if tags.numbers(338) == (1,):
            file.notes.append("premultiplied transparency was converted to straight")

    def size(self, file: Decoder) -> tuple[int, int] | None:
        self.check(file)
        return super().size(file) if file.format is self else file.format.size(file)

    def load_options(self) -> tuple[str, dict[str, Any]]:
        # strips may be as large as the picture, whose size has been checked; libvips would stop at 50 MB
        return "tiffload_source", {"unlimited": True}

    def unread(self, file: Decoder) -> str | None:
        kind = UNREAD.get(max(file.facts.numbers(259), default=1))
        return None if kind is None else f"is a TIFF with {kind} compression"

    def is_palette(self, file: Decoder, image: pyvips.Image) -> bool:
        return file.facts.numbers(262) == (3,) or super().is_palette(file, image)

    def metadata(self, file: Decoder, header: pyvips.Image) -> tuple[bytes | None, bytes | None]:
        return exif.blob(file.facts), field(header, "xmp-data")

    def orientation(self, file: Decoder, in_exif: int | None) -> int | None:
        return next((value for value in file.facts.numbers(exif.ORIENTATION) if 1 <= value <= 8), None)

    def has_resolution(self, file: Decoder) -> bool:
        return max(file.facts.numbers(exif.RESOLUTION_UNIT), default=2) > 1

    def coding(self, file: Decoder, header: pyvips.Image, coding: Coding) -> Coding:
        compression = COMPRESSIONS.get(max(file.facts.numbers(259), default=1), "deflate")
        tile = file.facts.numbers(322) + file.facts.numbers(323)
        return replace(coding, compression=compression, tile=tile if len(tile) == 2 else None)

    def options(self, work: Encoder) -> dict[str, Any]:
        source = work.source_coding
        compression = "deflate" if source is None else source.compression
        unit = "cm" if work.photo.coding.dots_unit == "cm" else "inch"
        options: dict[str, Any] = {"compression": compression, "keep": "icc|xmp", "resunit": unit}
        if compression != "none":
            options["predictor"] = "float" if work.depth == 32 else "horizontal"
        if source is not None and source.tile:
            options |= {"tile": True, "tile_width": source.tile[0], "tile_height": source.tile[1]}
        size = work.size[0] * work.size[1] * work.bands * work.dtype.itemsize
        return options | {"bigtiff": size > SMALL_BYTES}

    def write(self, work: Encoder, file: BinaryIO) -> None:
        with work.fed() as image:
            if work.place is None:
                file.write(image.tiffsave_buffer(**self.options(work)))
            else:  # libtiff goes back in what it writes
                with vips_name(work.place) as name:
                    image.tiffsave(name, **self.options(work))
        if not work.has_resolution():
            exif.without_resolution(file)
        if work.photo.exif:
            with suppress(ValueError):  # a block that is damaged cannot be taken apart and stays out
                exif.append(file, work.photo.exif)
