"""Decoding a file to a `Photo`: recognised, checked, decoded once, turned upright."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyvips

from allfocus.errors import InputError, PhotoSizeError, UnknownFormatError
from allfocus.photo import exif, formats, orientation
from allfocus.photo.canvas import VIPS_FORMATS, Canvas, field, vips_source
from allfocus.photo.color import cmyk_to_srgb
from allfocus.photo.photo import DEPTHS, DTYPES, Coding, Photo
from allfocus.photo.tiling import Box

STRIP_BYTES = 2**20
HEAD_BYTES = 4096

MOST_DOTS = 100_000
"""Pixels per mm; more is a damaged number."""

ROUNDING = 1e-4
"""How far outside [0, 1] float samples may be: what computing with them does, not what another scale would."""


class Header(NamedTuple):
    """What a photo file says of itself: format, and its size as stored, before it is set upright.

    The size is None where it is known only after decoding (camera raw, HEIC).
    """

    format: str
    width: int | None
    height: int | None


class Decoder:
    """One file (a path, or its bytes) being decoded to a `Photo`; see `codecs.decode`."""

    def __init__(
        self, source: str | Path | bytes, max_pixels: int, folder: str | Path | None, allow_damaged: bool = False
    ):
        self.max_pixels = max_pixels
        self.folder = folder
        self.allow_damaged = allow_damaged
        self.permissions: int | None = None
        self.notes: list[str] = []
        if isinstance(source, bytes | bytearray | memoryview):
            self.data: bytes | Path = bytes(source)
            self.name = f"the data given ({len(self.data)} bytes)"
            head, size = self.data[:HEAD_BYTES], len(self.data)
        else:
            self.data = Path(source)
            self.name = str(source)
            head, size = self._head(self.data)
        if size == 0:
            raise InputError(f"{self.name} is empty (0 bytes)", formats.READABLE, "copy it from the camera again")
        format = formats.sniff(head, self.name)
        if format is None:
            raise UnknownFormatError(
                f"{self.name} is not a readable photo ({_looks(head)})",
                formats.READABLE,
                "export it as TIFF or PNG",
            )
        pyvips.vips_lib.vips_error_clear()  # the header of a whole AVIF leaves complaints that a later error would tell
        self.format = formats.READ[format]
        self.head = head
        self.size = size
        self.facts: Any = None  # what the format's `check` has found

    def photo(self) -> Photo:
        """The photo; every pixel has been decoded."""
        return replace(self._photo(), permissions=self.permissions)

    def _photo(self) -> Photo:
        try:
            self.format.check(self)
            return self.format.read(self)
        except pyvips.Error as error:
            other = self.format.unread(self)
            if other is not None:
                raise self.unfit(other, "another compression") from None
            raise self.damaged(reason(error)) from None

    def become(self, format: str) -> None:
        """Go on as a file of another format."""
        self.format, self.facts = formats.READ[format], None

    def photo_of_libvips(self) -> Photo:
        """The photo through libvips; what is left of a damaged one, if that is allowed."""
        notes = list(self.notes)
        try:
            header = self.through_libvips(self.format.fail_on)
            self.check_size(header.width, header.height)
            image = self._plain(header)
            canvas = self._decoded(image)
            cause = self.format.damage(self)
        except pyvips.Error as error:
            if not self.allow_damaged:
                raise
            cause = reason(error)
            self.notes = notes
            header = self.through_libvips("none")
            self.check_size(header.width, header.height)
            image = self._plain(header)
            canvas = self._decoded(image)
        if cause is not None:
            if not self.allow_damaged:
                raise self.damaged(cause)
            self.notes.append(f"the file is damaged ({cause}): what could be read of it was restored")
        return self._finished(header, image, canvas)

    def header(self) -> Header:
        """What the file says of itself; nothing is decoded, sizes above the limit are refused."""
        try:
            size = self.format.size(self)
        except pyvips.Error as error:
            raise self.damaged(reason(error)) from None
        if size is None:
            return Header(self.format.name, None, None)
        self.check_size(*size)
        return Header(self.format.name, *size)

    def check_size(self, width: int, height: int) -> None:
        """Refuse photos above the limit. InputError: more than `max_pixels` pixels."""
        if width * height > self.max_pixels:
            raise PhotoSizeError(
                f"{self.name} states a size of {width}x{height} pixels ({width * height / 1e6:.3g} megapixels)",
                f"at most {self.max_pixels / 1e6:g} megapixels",
                "a smaller version, or a higher --pixel-limit if you trust this file",
            )

    def _head(self, path: Path) -> tuple[bytes, int]:
        try:
            if path.is_dir():
                raise InputError(f"{path} is a folder", formats.READABLE, "name a photo inside it")
            if not path.exists():
                raise InputError(f"{path} does not exist", formats.READABLE, "check the name and the folder you are in")
            if not path.is_file():
                raise InputError(f"{path} is not a regular file", formats.READABLE, "save it to a file first")
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                self.permissions = stat.S_IMODE(status.st_mode) & 0o777
                return file.read(HEAD_BYTES), status.st_size
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{path} cannot be read ({cause})", formats.READABLE, "check its permissions") from None

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file, to be read."""
        with io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb") as file:
            yield file

    def through_libvips(self, fail_on: str) -> pyvips.Image:
        """The file opened by libvips; nothing is decoded yet."""
        loader, options = self.format.load_options()
        source = vips_source(self.data) if isinstance(self.data, Path) else pyvips.Source.new_from_memory(self.data)
        return getattr(pyvips.Image, loader)(source, access="sequential", fail_on=fail_on, **options)

    def check_share(self, least_bytes: float, size: tuple[int, int]) -> None:
        """Refuse a file of fewer bytes than the smallest that can hold a picture of this size."""
        if self.size < least_bytes and not self.allow_damaged:
            raise self.damaged(f"{self.size} bytes cannot hold the {size[0]}x{size[1]} pixels that it states")

    def _plain(self, image: pyvips.Image) -> pyvips.Image:
        """The picture as grey, grey + alpha, RGB or RGB + alpha of 8 bit, 16 bit or float samples."""
        if image.format not in DEPTHS:
            raise self.unfit_samples(f"has {image.format} samples")
        bits = field(image, "bits-per-sample") or 8
        if self.format.is_palette(self, image):
            self.notes.append("the palette was converted to RGB")
        elif bits < 8:
            self.notes.append(f"{bits}-bit samples were widened to 8 bit")
        pages = field(image, "n-pages") or 1
        if pages > 1:
            self.notes.append(f"only the first of {pages} pages was read")
        if image.interpretation == "cmyk":
            image = self._from_cmyk(image)
        if image.bands > 4:
            raise self.unfit(f"has {image.bands} channels", "grey or RGB, with or without transparency")
        return image

    def _from_cmyk(self, image: pyvips.Image) -> pyvips.Image:
        own = field(image, "icc-profile-data")
        if own and own[16:20] != b"CMYK":
            image = image.copy()
            image.remove("icc-profile-data")
            own = None
        self.notes.append(f"CMYK was converted to sRGB through {'its own' if own else 'a generic'} profile")
        colours = cmyk_to_srgb(image.extract_band(0, n=4))
        return colours.bandjoin(image.extract_band(4)) if image.bands > 4 else colours

    def _decoded(self, image: pyvips.Image) -> Canvas:
        dtype = DTYPES[DEPTHS[str(image.format)]]
        canvas = Canvas(image.width, image.height, image.bands, dtype, folder=self.folder, blank=False)
        region = pyvips.Region.new(image)
        bits = self.format.sample_bits(image)
        rows = max(1, STRIP_BYTES // (image.width * image.bands * dtype.itemsize))
        for y in range(0, image.height, rows):
            box = Box(0, y, image.width, min(rows, image.height - y))
            data = region.fetch(box.x, box.y, box.width, box.height)
            strip = np.frombuffer(data, dtype).reshape(box.height, box.width, image.bands)
            if dtype == np.float32:
                strip = settled(strip, self.name)
            elif dtype == np.uint16 and bits:
                # libvips leaves the low bits at zero, so white would not be white
                strip = np.bitwise_or(strip, np.right_shift(strip, bits))
            canvas.write(box, strip)
        return canvas

    def _finished(self, header: pyvips.Image, image: pyvips.Image, canvas: Canvas) -> Photo:
        blob, packet = self.format.metadata(self, header)
        blob, turn = orientation.upright_exif(blob.removeprefix(exif.PREFIX)) if blob else (None, None)
        packet, stated = orientation.upright_xmp(packet) if packet else (None, None)
        profile = field(image, "icc-profile-data") or self.format.profile(self, image)
        turn = self.format.orientation(self, turn) or stated or 1
        return Photo.from_bands(
            orientation.turned(canvas.image(), turn),
            self.format.name,
            canvas.view(Box(0, 0, canvas.width, canvas.height)) if turn == 1 else None,
            icc=profile,
            exif=blob,
            xmp=packet,
            notes=tuple(self.notes),
            coding=self._coding(header),
            **self.format.more(self, header),
        )

    def _coding(self, header: pyvips.Image) -> Coding:
        coding = Coding(dots_unit=field(header, "resolution-unit") or "in")
        stated = self.format.has_resolution(self)
        if stated and 0 < min(header.xres, header.yres) <= max(header.xres, header.yres) <= MOST_DOTS:
            coding = replace(coding, dots_per_mm=(header.xres, header.yres))
        return self.format.coding(self, header, coding)

    def unfit(self, got: str, expected: str) -> InputError:
        """A refusal of a file that is whole, but of a kind that is not restored."""
        return InputError(f"{self.name} {got}", expected, "export it as a 16-bit RGB TIFF")

    def unfit_samples(self, got: str) -> InputError:
        """The same because of its samples."""
        return self.unfit(got, "8 or 16 bit integers, or float samples in [0, 1]")

    def damaged(self, cause: str) -> InputError:
        """A refusal of a damaged file."""
        return InputError(
            f"{self.name} is damaged or cut short ({cause})",
            f"a whole {self.format.title} file",
            "copy it from the camera again, or allow damaged files (--allow-damaged) to restore what can be read",
        )


def from_array(array: np.ndarray, max_pixels: int) -> Photo:
    """The photo that an array holds; see `codecs.decode`."""
    expected = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or float32 in [0, 1]"
    got = f"an array of shape {array.shape} and {array.dtype}"
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise InputError(got, expected, "one photo per array, channels last")
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32)
    elif not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if pixels.dtype not in VIPS_FORMATS:
        raise InputError(got, expected, "divide by the value of white and convert to float32")
    height, width, bands = pixels.shape
    if width * height > max_pixels:
        raise InputError(got, f"at most {max_pixels / 1e6:g} megapixels", "a smaller version, or a higher limit")
    if pixels.dtype == np.float32:
        pixels = settled(pixels, "the array")
    pixels = np.ascontiguousarray(pixels)
    image = pyvips.Image.new_from_memory(pixels.data, width, height, bands, VIPS_FORMATS[pixels.dtype])
    return Photo.from_bands(image, "array", pixels)


def settled(pixels: np.ndarray, name: str) -> np.ndarray:
    """Float samples in [0, 1]; those that rounding has carried outside, by up to `ROUNDING`, become 0 or 1.

    Raises:
        InputError: NaN, infinite or other samples, with their range.
    """
    expected = "float samples in [0, 1]"
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} holds NaN or infinite samples", expected, "replace them, or export it again")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise InputError(f"{name} holds samples from {low:.7g} to {high:.7g}", expected, "divide by the value of white")
    return pixels.clip(0, 1) if low < 0 or high > 1 else pixels


def reason(error: pyvips.Error) -> str:
    """The one line of a libvips error that says most."""
    for line in str(error.detail or error.message).splitlines():
        text = re.sub(r"^\w+: ", "", line.strip())
        if "bad seek to " in text:
            return "it ends early"
        if text and not text.startswith(("unable to call", "unable to fetch")):
            return text
    return "its pixels cannot be decoded"


def _looks(head: bytes) -> str:
    kinds = {
        b"GIF8": "GIF",
        b"BM": "BMP",
        b"%PDF": "PDF",
        b"\xff\x0a": "JPEG XL",
        b"\0\0\0\x0cJXL ": "JPEG XL",
        b"\0\0\0\x0cjP  ": "JPEG 2000",
        b"\xff\x4f\xff\x51": "JPEG 2000",
        b"8BPS": "a Photoshop document",
    }
    for mark, kind in kinds.items():
        if head.startswith(mark):
            return f"it looks like {kind}"
    text = all(byte >= 32 or byte in b"\t\r\n" for byte in head[:256])
    return "it looks like text" if text else "nothing known begins like this"
