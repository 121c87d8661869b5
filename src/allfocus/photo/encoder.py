"""A `Photo` with new pixels on its way to a file: what the format can hold, and how it is written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np
import pyvips

from allfocus.atomic_file import AtomicFile
from allfocus.errors import OptionError, OutputError
from allfocus.photo import avif, exif, formats, jpeg, png, webp
from allfocus.photo.canvas import Canvas, vips_name
from allfocus.photo.decoder import reason
from allfocus.photo.feed import Feed
from allfocus.photo.formats import FORMATS, Format
from allfocus.photo.photo import DTYPES, PEAKS, Photo, fetch
from allfocus.photo.tiling import Box

QUALITY = {"jpeg": 95, "webp": 95, "avif": 90}
LEAST_JPEG_QUALITY = 90
"""A restored photo holds finer detail than the blurred one that its source's quality was enough for."""
AVIF_EFFORT = 2  # 0.6 s a megapixel on 2 cores where the default of 4 takes 7 s for the same size
SMALL_TIFF_BYTES = 3_900_000_000
SMALL_JPEG_PIXELS = 16_000_000
"""Above, the best code tables (a few percent of the size) are not worth the 15 bytes a pixel of memory they take."""
UNKNOWN_DOTS = (1.0, 1.0)
"""Dots per mm: what libvips says of files without a resolution."""
SPACES = {"uchar": ("b-w", "srgb"), "ushort": ("grey16", "rgb16"), "float": ("b-w", "scrgb")}


def format_for(photo: Photo, target: str | Path | None, format: str | None) -> Format:
    """The format that a photo is written in: the one asked for, the target's ending, or the photo's own.

    Raises:
        OptionError: a format that cannot be written.
    """
    endings = ", ".join(each.extensions[0] for each in FORMATS.values())
    if format is None and target is not None and Path(target).suffix:
        format = formats.of_name(target)
        if format is None:
            raise OptionError(
                f"{target} ends in {Path(target).suffix}", f"one of {endings}", f"{Path(target).stem}.png"
            )
    format = format or formats.WRITTEN_AS.get(photo.format, photo.format)
    if format not in FORMATS:
        raise OptionError(f"the format {format!r}", f"one of {', '.join(FORMATS)}", "png")
    return FORMATS[format]


def check(width: int, height: int, format: Format, quality: int | None) -> None:
    """Refuse what a format cannot hold at all, or a quality that there is not; see `Encoder`."""
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
    depth = _depth(photo, format)
    if depth < photo.depth and not (photo.format == format.name == "avif"):
        kind = "float samples" if photo.depth == 32 else f"{photo.depth}-bit samples"
        lost.append(f"{kind} were rounded to {depth} bit, all that {title} holds")
    if photo.alpha is not None and not format.alpha:
        lost.append(f"transparency was left out: {title} holds none")
    if photo.bands == 1 and not format.grey:
        lost.append(f"grey was stored as RGB: {title} holds no grey")
        if _is_grey(photo.icc):
            lost.append(f"the grey ICC profile was applied and replaced by sRGB: {title} holds RGB only")
    for name, data, room in (("EXIF", photo.exif, jpeg.EXIF_ROOM), ("XMP", photo.xmp, jpeg.XMP_ROOM)):
        if data and format.name == "jpeg" and len(data) > room:
            lost.append(f"{name} of {len(data)} bytes was left out: JPEG holds {room}")
    coding = photo.coding
    if photo.format == format.name == "jpeg":
        if quality is None and coding.quality is not None and coding.quality < LEAST_JPEG_QUALITY:
            lost.append(f"its JPEG quality of about {coding.quality} was raised to {LEAST_JPEG_QUALITY}")
        if coding.sampling is not None:
            lost.append(f"its chroma ({coding.sampling}) was stored at full size (4:4:4)")
    if photo.extended_xmp and format.name != "jpeg":
        lost.append(f"the extended XMP was left out: only JPEG files carry it here, not {title}")
    if photo.iptc and format.name != "jpeg":
        lost.append(f"the IPTC block was left out: only JPEG files carry it here, not {title}")
    if _described(photo) and format.name not in ("png", "avif"):
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
        self.depth = _depth(photo, format)
        self.pixels = pixels
        carries_alpha = photo.alpha is not None and format.alpha and self.size == (photo.width, photo.height)
        self.alpha = photo.alpha if carries_alpha else None
        self.bands = pixels.bands + carries_alpha
        self.dtype = DTYPES[32 if self.depth == 32 else 16 if self.depth > 8 else 8]
        self._feeds: list[Feed] = []  # must outlive the pictures that libvips reads from them

    def to_file(self, output: AtomicFile) -> None:
        """Write the temporary file of `output`.

        Raises:
            OutputError: writing failed, most often for want of space.
        """
        try:
            if self.format.name == "tiff":
                with self._fed() as image, vips_name(output.temporary) as name:
                    image.tiffsave(name, **self._options())
                with output.temporary.open("r+b") as file:
                    self._tag_tiff(file)
            else:
                with output.temporary.open("wb") as file:
                    self._write(file)
        except pyvips.Error as error:
            raise output.refusal(reason(error)) from None
        except OSError as error:
            raise output.refusal(error.strerror or str(error)) from None

    def to_bytes(self) -> bytes:
        """The finished file as bytes."""
        if self.format.name == "tiff":
            with self._fed() as image:
                file = io.BytesIO(image.tiffsave_buffer(**self._options()))
            self._tag_tiff(file)
        else:
            file = io.BytesIO()
            self._write(file)
        return file.getvalue()

    def _write(self, file: BinaryIO) -> None:
        """Write a JPEG, PNG, WebP or AVIF file."""
        photo, options = self.photo, self._options()
        with self._fed() as image:
            if self.format.name == "jpeg":
                head = jpeg.segments(photo.exif, photo.xmp, photo.iptc, self._dots(), photo.extended_xmp)
                spliced = partial(_after_start, extra=head)
                _Splice(file, spliced).run(partial(image.jpegsave_target, **options))
            elif self.format.name == "png":
                described = _described(photo)
                cicp = bytes((*described, 0, 1)) if described else None
                chunks = png.chunks(photo.exif, photo.xmp, cicp)
                spliced = partial(png.rewritten_head, extra=chunks, resolution=self._has_resolution())
                _Splice(file, spliced).run(partial(image.pngsave_target, **options))
            elif self.format.name == "webp":
                data = self._encoded(image.webpsave_buffer, options)
                file.write(webp.with_metadata(data, photo.exif, photo.xmp, self.size, self.alpha is not None))
            else:
                data = self._encoded(image.heifsave_buffer, options)
                alpha = self._exact_alpha(options) if self.alpha is not None and not options["lossless"] else None
                file.write(avif.embed(data, photo.exif, photo.xmp, _described(photo), alpha))

    def _has_resolution(self) -> bool:
        return self.photo.coding.dots_per_mm != UNKNOWN_DOTS

    def _dots(self) -> tuple[int, float, float]:
        """The resolution as a JFIF segment states it."""
        across, down = self.photo.coding.dots_per_mm
        if not self._has_resolution():
            return 0, 1, 1
        unit, per = (2, 10) if self.photo.coding.dots_unit == "cm" else (1, 25.4)
        return unit, across * per, down * per

    def _exact_alpha(self, options: dict[str, Any]) -> bytes:
        """An AVIF file with the photo's transparency, stored without loss, over black."""
        with self._fed() as image:
            alpha = image.extract_band(image.bands - 1)
            black = (alpha * 0).cast(alpha.format)
            over_black = black.bandjoin([black, black, alpha]).copy(interpretation=SPACES[str(alpha.format)][1])
            return self._encoded(over_black.heifsave_buffer, options | {"lossless": True})

    def _encoded(self, save: Callable[..., bytes], options: dict[str, Any]) -> bytes:
        """What an encoder that works in memory makes of the picture; it may find it too much."""
        try:
            return save(**options)
        except pyvips.Error as error:
            if self._feeds[-1].error:
                raise
            raise OutputError(
                f"{self.format.title} cannot hold this picture of {self.size[0]}x{self.size[1]} ({reason(error)})",
                "a smaller picture, or another format",
                "TIFF or PNG",
            ) from None

    def _tag_tiff(self, file: BinaryIO) -> None:
        """Put the EXIF tags into a finished TIFF; a block that is damaged cannot be taken apart and stays out."""
        if not self._has_resolution():
            exif.without_resolution(file)
        if self.photo.exif:
            with suppress(ValueError):
                exif.append(file, self.photo.exif)

    @contextmanager
    def _fed(self) -> Iterator[pyvips.Image]:
        """The finished picture, to be written once, with what libvips itself puts into the file."""
        photo = self.photo
        feed = Feed(*self.size, self.bands, self.dtype, self._rows)
        self._feeds.append(feed)
        image = feed.image()
        icc = photo.icc
        if _is_grey(icc) and photo.bands == 1 and not self.format.grey:
            image, icc = _coloured(image, icc)
        if self.format.name == "avif" and self.depth > 8:
            steps = 2**self.depth - 1
            image = ((image * (steps / 65535)).rint() * 2 ** (16 - self.depth)).cast("ushort")
        xres, yres = photo.coding.dots_per_mm
        image = image.copy(interpretation=SPACES[str(image.format)][image.bands >= 3], xres=xres, yres=yres)
        for name, data in (("icc-profile-data", icc), ("xmp-data", photo.xmp)):
            if data:
                image.set_type(pyvips.GValue.blob_type, name, data)  # type: ignore[arg-type]
        try:
            yield image
        except pyvips.Error:
            if feed.error:
                raise feed.error from None
            raise

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

    def _options(self) -> dict[str, Any]:
        coding, same = self.photo.coding, self.photo.format == self.format.name
        quality = self.quality or QUALITY.get(self.format.name)
        if self.format.name == "jpeg" and same and coding.quality is not None and self.quality is None:
            quality = max(coding.quality, LEAST_JPEG_QUALITY)
        lossless = same and coding.lossless and self.quality is None
        chroma = "on" if same and coding.subsampled and not lossless else "off"
        if self.format.name == "jpeg":
            small = self.size[0] * self.size[1] <= SMALL_JPEG_PIXELS
            return {"Q": quality, "subsample_mode": chroma, "optimize_coding": small, "keep": "icc"}
        if self.format.name == "png":
            return {"compression": 4, "filter": "sub", "keep": "icc"}
        if self.format.name == "webp":
            return {"Q": quality, "lossless": lossless, "exact": True, "keep": "icc"}
        if self.format.name == "avif":
            options = {"Q": quality, "lossless": lossless, "effort": AVIF_EFFORT, "subsample_mode": chroma}
            return {**options, "bitdepth": self.depth, "compression": "av1", "keep": "icc"}
        return self._tiff_options(coding.compression if same else "deflate", coding.tile if same else None)

    def _tiff_options(self, compression: str, tile: tuple[int, int] | None) -> dict[str, Any]:
        options: dict[str, Any] = {"compression": compression, "keep": "icc|xmp", "resunit": "inch"}
        if self.photo.coding.dots_unit == "cm":
            options["resunit"] = "cm"
        if compression != "none":
            options["predictor"] = "float" if self.depth == 32 else "horizontal"
        if tile:
            options |= {"tile": True, "tile_width": tile[0], "tile_height": tile[1]}
        size = self.size[0] * self.size[1] * self.bands * self.dtype.itemsize
        return options | {"bigtiff": size > SMALL_TIFF_BYTES}


class _Splice:
    """A file that libvips writes into, whose head is rewritten on the way.

    Args:
        file: where the result goes.
        rewritten: the new head from the bytes so far, or None while they are too few.
    """

    def __init__(self, file: BinaryIO, rewritten: Callable[[bytes], bytes | None]):
        self.file = file
        self.rewritten = rewritten
        self.head: bytes | None = b""
        self.error: BaseException | None = None

    def run(self, save: Callable[[pyvips.TargetCustom], None]) -> None:
        target = pyvips.TargetCustom()
        target.on_write(self._write)
        try:
            save(target)
        except pyvips.Error:
            if self.error:
                raise self.error from None
            raise
        if self.error:
            raise self.error

    def _write(self, data: Any) -> int:
        piece = bytes(data)
        try:
            if self.head is None:
                self.file.write(piece)
                return len(piece)
            self.head += piece
            finished = self.rewritten(self.head)
            if finished is not None:
                self.file.write(finished)
                self.head = None
        except BaseException as error:  # it would get lost in libvips
            self.error = error
            return -1
        return len(piece)


def _after_start(head: bytes, extra: bytes) -> bytes | None:
    """The beginning of a JPEG with `extra` segments behind its start marker; None while it is too short."""
    at = jpeg.START_BYTES
    return head[:at] + extra + head[at:] if len(head) >= at else None


def _depth(photo: Photo, format: Format) -> int:
    if format.name == "avif":
        return photo.coding.bits if photo.format == "avif" else 8 if photo.depth == 8 else 12
    return min(photo.depth, format.depth)


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
