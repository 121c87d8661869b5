"""Encoding a `Photo` with new pixels: what the format can hold, and how it is written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pyvips

from allfocus.atomic_file import AtomicFile
from allfocus.errors import OptionError, OutputError
from allfocus.photo import formats
from allfocus.photo.canvas import Canvas
from allfocus.photo.decoder import reason
from allfocus.photo.feed import Feed
from allfocus.photo.format import Format
from allfocus.photo.formats import FORMATS
from allfocus.photo.photo import DTYPES, PEAKS, SPACES, Photo, fetch
from allfocus.photo.tiling import Box

UNKNOWN_DOTS = (1.0, 1.0)
"""Dots per mm: what libvips says of files without a resolution."""


def format_for(photo: Photo, target: str | Path | None, format: str | None) -> Format:
    """The format that a photo is written in: the one asked for, the target's ending, or the photo's own.

    Raises:
        OptionError: a format that cannot be written.
    """
    endings = ", ".join(each.extensions[0] for each in FORMATS.values())
    if format is None and target is not None and Path(target).suffix:
        format = formats.of_name(target)
        if format is None:
            raise OptionError(f"{target} is a {Path(target).suffix}", f"one of {endings}", f"{Path(target).stem}.png")
    format = format or formats.written_as(photo.format).name
    if format not in FORMATS:
        raise OptionError(f"the format {format!r}", f"one of {', '.join(FORMATS)}", "png")
    return FORMATS[format]


def check(width: int, height: int, format: Format, quality: int | None) -> None:
    """Refuse what a format cannot hold at all, or an invalid quality; see `Encoder`."""
    if quality is not None and not 1 <= quality <= 100:
        raise OptionError(f"quality {quality}", "a quality from 1 to 100", "--quality 95")
    if max(width, height) > format.largest:
        raise OutputError(
            f"the picture of {width}x{height} pixels does not fit into {format.title}",
            f"at most {format.largest} pixels a side",
            "TIFF or PNG",
        )


def losses(photo: Photo, format: Format, quality: int | None = None) -> tuple[str, ...]:
    """What a file of this format cannot hold of the photo, one plain sentence each."""
    title, lost = format.title, []
    depth = format.depth_of(photo)
    if depth < photo.depth and not (photo.format == format.name and photo.coding.bits == depth):
        kind = "float samples" if photo.depth == 32 else f"{photo.depth}-bit samples"
        lost.append(f"{kind} were rounded to {depth} bit, all that {title} holds")
    if photo.alpha is not None and not format.alpha:
        lost.append(f"transparency was left out: {title} holds none")
    if photo.bands == 1 and not format.grey:
        lost.append(f"grey was stored as RGB: {title} holds no grey")
        if _is_grey(photo.icc):
            lost.append(f"the grey ICC profile was applied and replaced by sRGB: {title} holds RGB only")
    for name, data in (("ICC", photo.icc), ("EXIF", photo.exif), ("XMP", photo.xmp)):
        if data and name not in format.holds:
            lost.append(f"{name} was left out: {title} holds none")
    lost += format.losses(photo, quality)
    if photo.extended_xmp and not format.blocks:
        lost.append(f"the extended XMP was left out: only JPEG files carry it here, not {title}")
    if photo.iptc and not format.blocks:
        lost.append(f"the IPTC block was left out: only JPEG files carry it here, not {title}")
    if _described(photo) and not format.describes:
        lost.append(f"the wide or HDR colour description (CICP) was left out: {title} holds none")
    return tuple(lost)


class Encoder:
    """One photo with new pixels, ready to be written in one format; see `codecs.encode`.

    Raises:
        OptionError: a quality outside 1 to 100.
        OutputError: a picture with longer sides than the format holds.
    """

    def __init__(self, photo: Photo, pixels: Canvas, format: Format, quality: int | None):
        check(pixels.width, pixels.height, format, quality)
        self.photo = photo
        self.format = format
        self.quality = quality
        self.size = pixels.width, pixels.height
        self.depth = format.depth_of(photo)
        self.source_coding = photo.coding if photo.format == format.name else None
        self.described = _described(photo)
        self.place: Path | None = None
        self.pixels = pixels
        carries_alpha = photo.alpha is not None and format.alpha and self.size == (photo.width, photo.height)
        self.alpha = photo.alpha if carries_alpha else None
        self.bands = pixels.bands + carries_alpha
        self.dtype = DTYPES[32 if self.depth == 32 else 16 if self.depth > 8 else 8]
        self._feeds: list[Feed] = []  # must outlive the pictures that libvips reads from them

    def to_file(self, output: AtomicFile) -> None:
        """Write the temporary file of `output`. OutputError: writing failed, most often for want of space."""
        self.place = output.temporary
        try:
            with output.temporary.open("w+b") as file:
                self.format.write(self, file)
        except pyvips.Error as error:
            raise output.refusal(reason(error)) from None
        except OSError as error:
            raise output.refusal(error.strerror or str(error)) from None

    def to_bytes(self) -> bytes:
        """The finished file as bytes."""
        file = io.BytesIO()
        self.format.write(self, file)
        return file.getvalue()

    def has_resolution(self) -> bool:
        """Whether the photo's resolution is known."""
        return self.photo.coding.dots_per_mm != UNKNOWN_DOTS

    def dots(self) -> tuple[int, float, float]:
        """The resolution as a JFIF segment states it."""
        across, down = self.photo.coding.dots_per_mm
        if not self.has_resolution():
            return 0, 1, 1
        unit, per = (2, 10) if self.photo.coding.dots_unit == "cm" else (1, 25.4)
        return unit, across * per, down * per

    def encoded(self, save: Callable[..., bytes], options: dict[str, Any]) -> bytes:
        """What an encoder that works in memory makes of the picture; it may find it too much."""
        try:
            return save(**options)
        except pyvips.Error as error:
            if any(feed.error for feed in self._feeds):
                raise
            raise OutputError(
                f"{self.format.title} cannot hold this picture of {self.size[0]}x{self.size[1]} ({reason(error)})",
                "a smaller picture, or another format",
                "TIFF or PNG",
            ) from None

    @contextmanager
    def fed(self) -> Iterator[pyvips.Image]:
        """The finished picture, to be written once, with what libvips itself puts into the file."""
        photo = self.photo
        feed = None
        if self._is_ready():
            image = self.pixels.image()
        else:
            feed = Feed(*self.size, self.bands, self.dtype, self._rows)
            self._feeds.append(feed)
            image = feed.image()
        icc = photo.icc
        if _is_grey(icc) and photo.bands == 1 and not self.format.grey:
            image, icc = _coloured(image, icc)
        xres, yres = photo.coding.dots_per_mm
        image = image.copy(interpretation=SPACES[str(image.format)][image.bands >= 3], xres=xres, yres=yres)
        for name, data in (("icc-profile-data", icc), ("xmp-data", photo.xmp)):
            if data:
                image.set_type(pyvips.GValue.blob_type, name, data)  # type: ignore[arg-type]
        try:
            yield image
        except pyvips.Error:
            if feed is not None and feed.error:
                raise feed.error from None
            raise
        finally:
            if feed is not None:
                feed.close()

    def _is_ready(self) -> bool:
        """Whether the pixels lie in memory as the file has them."""
        in_memory = self.pixels.view(Box(0, 0, *self.size)) is not None
        return in_memory and self.alpha is None and self.pixels.dtype == self.dtype

    def _rows(self, y: int, count: int) -> np.ndarray:
        """Finished rows, (count, width, bands), with transparency as the last band."""
        box = Box(0, y, self.size[0], count)
        rows = self.pixels.read(box)
        if self.alpha is not None:
            rows = np.concatenate([rows, fetch(self.alpha, box)], axis=2)
        if rows.dtype == self.dtype:
            return rows
        peak = PEAKS[8 * self.dtype.itemsize] / self.photo.peak
        return np.rint(np.clip(rows * np.float32(peak), 0, PEAKS[8 * self.dtype.itemsize])).astype(self.dtype)


def _coloured(image: pyvips.Image, icc: bytes) -> tuple[pyvips.Image, bytes]:
    """A grey picture (or grey + alpha) with a grey profile as sRGB, and the sRGB profile."""
    grey = image.extract_band(0).copy(interpretation=SPACES[str(image.format)][0])
    grey.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)  # type: ignore[arg-type]
    coloured = grey.icc_transform("srgb", embedded=True, depth=8 if image.format == "uchar" else 16)
    joined = coloured.bandjoin(image.extract_band(1)) if image.bands == 2 else coloured
    return joined, coloured.get("icc-profile-data")  # type: ignore[return-value]


def _is_grey(icc: bytes | None) -> TypeGuard[bytes]:
    return icc is not None and icc[16:20] == b"GRAY"


def _described(photo: Photo) -> tuple[int, int] | None:
    """The ITU-T H.273 numbers to be written: none where a profile says more, or they say what is taken for granted."""
    cicp = photo.coding.cicp
    ordinary = cicp is None or (cicp[0] in (1, 2) and cicp[1] in (1, 2, 6, 13, 14, 15))
    return None if ordinary or photo.icc else cicp
