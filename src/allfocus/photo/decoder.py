"""One file on its way to a `Photo`: recognised, checked, decoded once, set upright."""

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
from allfocus.photo import avif, exif, formats, heic, icc, jpeg, orientation, png, raw, webp
from allfocus.photo.canvas import VIPS_FORMATS, Canvas, vips_source
from allfocus.photo.color import cmyk_to_srgb
from allfocus.photo.photo import DEPTHS, DTYPES, Coding, Photo
from allfocus.photo.tiling import Box

STRIP_BYTES = 2**20
HEAD_BYTES = 4096

TIFF_COMPRESSIONS = {1: "none", 5: "lzw"}
TIFF_COLOURS = {8: "CIELAB", 9: "CIELAB", 10: "CIELAB", 32844: "LogL", 32845: "LogLuv"}
RAW_TAGS = (50706, 33421)
"""DNGVersion and CFARepeatPatternDim: a TIFF with one of these is a camera raw file whatever its name."""

TIFF_UNREAD = {
    33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 33007: "JPEG 2000", 34712: "JPEG 2000",
    34661: "JBIG", 34887: "LERC", 34892: "lossy DNG", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
"""Compressions that libtiff may have been built without."""
TIFF_LAYERS, TIFF_RESOURCES = 37724, 34377
LEAST_SHARE = {1: 1.0, 5: 1 / 1500, 8: 1 / png.DEFLATE_GAIN, 32946: 1 / png.DEFLATE_GAIN, 32773: 1 / 64}
"""TIFF compression to how small it can make a picture at the most."""

MOST_DOTS = 100_000
"""Pixels per mm; more is a damaged number."""

LARGEST_BANDS = 5
"""CMYK and transparency."""

ROUNDING = 1e-4
"""How far outside [0, 1] float samples may be: what computing with them does, not what another scale would."""

INTEGERS_OR_FLOAT = "8 or 16 bit integers, or float samples in [0, 1]"


class Header(NamedTuple):
    """What a photo file says of itself.

    Attributes:
        format: of `formats.sniff`.
        width: in px as stored, before it is set upright; None where only decoding tells (camera raw, HEIC).
        height: likewise.
    """

    format: str
    width: int | None
    height: int | None


class Decoder:
    """One file (a path, or its bytes) on its way to a `Photo`; see `codecs.decode`."""

    def __init__(
        self, source: str | Path | bytes, max_pixels: int, folder: str | Path | None, allow_damaged: bool = False
    ):
        self.max_pixels = max_pixels
        self.folder = folder
        self.allow_damaged = allow_damaged
        self.permissions: int | None = None
        self.jpeg: jpeg.JpegHeader | None = None
        self.png = png.Metadata()
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
        self.format = format
        self.head = head
        self.size = size
        self.tags = exif.Tags("<", {})

    def photo(self) -> Photo:
        """The photo; every pixel has been decoded."""
        return replace(self._photo(), permissions=self.permissions)

    def _photo(self) -> Photo:
        try:
            if self.format == "tiff":
                self._check_tiff()
            if self.format == "heic":
                return heic.decode(self.data, self.name, self.check_size)
            if self.format == "raw":
                return replace(raw.decode(self.data, self.name, self.check_size), exif=self._raw_exif())
            if self.format == "jpeg":
                self._check_jpeg()
            if self.format == "png":
                self._check_png()
            if self.format == "avif" and b"avis" in self.head[8:64]:
                self.notes.append("only the main picture of an image sequence was read")
            return self._through_vips()
        except pyvips.Error as error:
            kind = TIFF_UNREAD.get(max(self.tags.numbers(259), default=1))
            if kind is not None:
                raise self._unfit(f"is a TIFF with {kind} compression", "another compression") from None
            raise self._damaged(reason(error)) from None

    def _through_vips(self) -> Photo:
        """The photo through libvips; what is left of a damaged one, if that is allowed."""
        notes = list(self.notes)
        try:
            header = self._open("warning" if self.format == "jpeg" else "error")
            self.check_size(header.width, header.height)
            image = self._plain(header)
            canvas = self._decoded(image)
            cause = self._uneven()
        except pyvips.Error as error:
            if not self.allow_damaged:
                raise
            cause = reason(error)
            self.notes = notes
            header = self._open("none")
            self.check_size(header.width, header.height)
            image = self._plain(header)
            canvas = self._decoded(image)
        if cause is not None:
            if not self.allow_damaged:
                raise self._damaged(cause)
            self.notes.append(f"the file is damaged ({cause}): what could be read of it was restored")
        return self._finished(header, image, canvas)

    def _uneven(self) -> str | None:
        """What is wrong with a JPEG file's data, where libvips does not say it."""
        if self.jpeg is None:
            return None
        data = self.data if isinstance(self.data, bytes) else self.data.read_bytes()
        missing = jpeg.missing_blocks(data, self.jpeg)
        if missing:
            return f"its data holds {abs(missing)} blocks {'less' if missing > 0 else 'more'} than the picture"
        return None

    def header(self) -> Header:
        """What the file says of itself; nothing is decoded, sizes above the limit are refused."""
        try:
            if self.format == "tiff":
                self._check_tiff()
            if self.format in ("heic", "raw"):
                return Header(self.format, None, None)
            header = self._open("none")
        except pyvips.Error as error:
            raise self._damaged(reason(error)) from None
        self.check_size(header.width, header.height)
        return Header(self.format, header.width, header.height)

    def check_size(self, width: int, height: int) -> None:
        """Refuse photos above the limit.

        Raises:
            InputError: more than `max_pixels` pixels.
        """
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
    def _file(self) -> Iterator[BinaryIO]:
        with io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb") as file:
            yield file

    def _open(self, fail_on: str) -> pyvips.Image:
        loader = {"avif": "heif"}.get(self.format, self.format) + "load_source"
        source = vips_source(self.data) if isinstance(self.data, Path) else pyvips.Source.new_from_memory(self.data)
        # TIFF strips may be as large as the picture, whose size has been checked; libvips would stop at 50 MB
        limit = {"unlimited": True} if self.format == "tiff" else {}
        return getattr(pyvips.Image, loader)(source, access="sequential", fail_on=fail_on, **limit)

    def _check_jpeg(self) -> None:
        with self._file() as file:
            self.jpeg = head = jpeg.header(file)
        if head is None:
            return  # libvips says what is wrong
        if head.precision != 8:
            raise self._unfit(f"is a JPEG with {head.precision}-bit samples", "8-bit JPEG")
        if head.process in ("lossless", "hierarchical"):
            raise self._unfit(f"is a {head.process} JPEG", "a baseline or progressive one")
        self.check_size(*head.size)
        self._check_share(head.size[0] * head.size[1] / jpeg.PIXELS_PER_BYTE, head.size)
        if head.comments:
            self.notes.append("the JPEG comment was left out")
        if head.pictures > 1:
            self.notes.append(f"only the first of {head.pictures} pictures in the file was read")

    def _check_png(self) -> None:
        with self._file() as file:
            self.png = found = png.metadata(file)
        self.check_size(*found.size)
        if found.complete:
            self._check_share(found.raw_bytes / png.DEFLATE_GAIN, found.size)
        if found.frames > 1:
            self.notes.append(f"only the first of {found.frames} frames was read")
        if found.texts:
            self.notes.append(f"{found.texts} text chunk{'s were' if found.texts > 1 else ' was'} left out")
        self.notes += [f"a damaged {kind} chunk was left out" for kind in found.damaged]

    def _check_share(self, least_bytes: float, size: tuple[int, int]) -> None:
        """Refuse a file of fewer bytes than the smallest that can hold a picture of this size."""
        if self.size < least_bytes and not self.allow_damaged:
            raise self._damaged(f"{self.size} bytes cannot hold the {size[0]}x{size[1]} pixels that it states")

    def _check_tiff(self) -> None:
        try:
            with self._file() as file:
                self.tags = exif.read(file)
        except (ValueError, OSError) as error:
            raise self._damaged(str(error)) from None
        if any(tag in self.tags.entries for tag in RAW_TAGS):
            self.format = "raw"
            return
        size = max(self.tags.numbers(256), default=0), max(self.tags.numbers(257), default=0)
        self.check_size(*size)
        if (bands := max(self.tags.numbers(277), default=1)) > LARGEST_BANDS:
            raise self._unfit(f"has {bands} channels", "grey or RGB, with or without transparency")
        bits = max(self.tags.numbers(258), default=1)
        kind = {2: "signed integer", 3: "float", 5: "complex", 6: "complex"}.get(max(self.tags.numbers(339), default=1))
        if (kind == "float" and bits > 32) or (kind is None and bits > 16) or kind in ("signed integer", "complex"):
            raise self._unfit(f"has {bits}-bit {kind or 'integer'} samples", INTEGERS_OR_FLOAT)
        colour = TIFF_COLOURS.get(max(self.tags.numbers(262), default=2))
        if colour:
            raise self._unfit(f"holds {colour} colour", "grey, RGB or CMYK")
        share = LEAST_SHARE.get(max(self.tags.numbers(259), default=1), 0.0)
        self._check_share(share * size[0] * size[1] * bands * bits / 8, size)
        if TIFF_LAYERS in self.tags.entries:
            self.notes.append("Photoshop layers were left out")
        if TIFF_RESOURCES in self.tags.entries:
            self.notes.append("the Photoshop block was left out")
        if kind == "float" and bits < 32:
            self.notes.append(f"{bits}-bit float samples were widened to 32 bit")
        if self.tags.numbers(338) == (1,):
            self.notes.append("premultiplied transparency was converted to straight")

    def _raw_exif(self) -> bytes | None:
        """The EXIF tags of a camera raw file, most of which are TIFF inside; LibRaw has set the picture upright."""
        try:
            with self._file() as file:
                blob = exif.blob(exif.read(file))
        except (ValueError, OSError):
            return None
        return orientation.upright_exif(blob)[0] if blob else None

    def _plain(self, image: pyvips.Image) -> pyvips.Image:
        """The picture as grey, grey + alpha, RGB or RGB + alpha of 8 bit, 16 bit or float samples."""
        if image.format not in DEPTHS:
            raise self._unfit(f"has {image.format} samples", INTEGERS_OR_FLOAT)
        bits = field(image, "bits-per-sample") or 8
        if field(image, "palette") or self.tags.numbers(262) == (3,):
            self.notes.append("the palette was converted to RGB")
        elif bits < 8:
            self.notes.append(f"{bits}-bit samples were widened to 8 bit")
        pages = field(image, "n-pages") or 1
        if pages > 1:
            self.notes.append(f"only the first of {pages} pages was read")
        if image.interpretation == "cmyk":
            image = self._from_cmyk(image)
        if image.bands > 4:
            raise self._unfit(f"has {image.bands} channels", "grey or RGB, with or without transparency")
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
        canvas = Canvas(image.width, image.height, image.bands, dtype, folder=self.folder)
        region = pyvips.Region.new(image)
        bits = field(image, "bits-per-sample") if self.format == "avif" else None
        rows = max(1, STRIP_BYTES // (image.width * image.bands * dtype.itemsize))
        for y in range(0, image.height, rows):
            box = Box(0, y, image.width, min(rows, image.height - y))
            data = region.fetch(box.x, box.y, box.width, box.height)
            strip = np.frombuffer(data, dtype).reshape(box.height, box.width, image.bands)
            if dtype == np.float32:
                strip = settled(strip, self.name)
            elif dtype == np.uint16 and bits:
                strip = strip | strip >> bits  # libvips leaves the low bits at zero, so white would not be white
            canvas.write(box, strip)
        return canvas

    def _finished(self, header: pyvips.Image, image: pyvips.Image, canvas: Canvas) -> Photo:
        blob, packet = self._metadata(header)
        blob, turn = orientation.upright_exif(blob.removeprefix(exif.PREFIX)) if blob else (None, None)
        packet, stated = orientation.upright_xmp(packet) if packet else (None, None)
        if self.format == "tiff":
            turn = next((value for value in self.tags.numbers(exif.ORIENTATION) if 1 <= value <= 8), None)
        if self.format == "avif":
            turn = 1  # its own rotation boxes hold, and have been applied; EXIF only repeats them
        return Photo.from_bands(
            orientation.turned(canvas.image(), turn or stated or 1),
            self.format,
            icc=field(image, "icc-profile-data") or self._stated_profile(image),
            exif=blob,
            xmp=packet,
            iptc=field(header, "iptc-data") if self.format == "jpeg" else None,
            extended_xmp=self.jpeg.extended_xmp if self.jpeg else (),
            notes=tuple(self.notes),
            coding=self._coding(header),
        )

    def _metadata(self, header: pyvips.Image) -> tuple[bytes | None, bytes | None]:
        """The EXIF block and the XMP packet."""
        if self.format == "tiff":
            return exif.blob(self.tags), field(header, "xmp-data")
        if self.format == "png":
            return self.png.exif, self.png.xmp
        return field(header, "exif-data"), field(header, "xmp-data")

    def _stated_profile(self, image: pyvips.Image) -> bytes | None:
        """A profile of the gamma and chromaticities that a PNG states instead of one, where they are not sRGB's."""
        found = self.png
        if found.has_profile or found.cicp or (found.gamma is None and found.chromaticities is None):
            return None
        gamma, where = found.gamma or png.SRGB_GAMMA, found.chromaticities or png.SRGB_CHROMATICITIES
        usual = abs(gamma - png.SRGB_GAMMA) < 0.002
        try:
            if image.bands < 3:
                profile = None if usual else icc.grey_profile(1 / gamma)
            elif usual and np.allclose(where, png.SRGB_CHROMATICITIES, atol=0.002):
                profile = None
            else:
                profile = icc.rgb_profile(1 / gamma, where)
        except ValueError as error:
            self.notes.append(f"the colours that the file states were left out ({error})")
            return None
        if profile is not None:
            self.notes.append("the stated gamma and chromaticities were made an ICC profile")
        return profile

    def _has_resolution(self) -> bool:
        """Whether the file states a resolution; libvips takes 72 dots per inch where some kinds do not."""
        if self.format == "tiff":
            return max(self.tags.numbers(exif.RESOLUTION_UNIT), default=2) > 1
        if self.format == "png":
            return self.png.has_resolution
        return self.jpeg is None or self.jpeg.has_resolution

    def _coding(self, header: pyvips.Image) -> Coding:
        coding = Coding(dots_unit=field(header, "resolution-unit") or "in")
        if self._has_resolution() and 0 < min(header.xres, header.yres) <= max(header.xres, header.yres) <= MOST_DOTS:
            coding = replace(coding, dots_per_mm=(header.xres, header.yres))
        if self.format == "jpeg":
            if self.jpeg is None:
                return coding
            sampling = _sampling(self.jpeg.sampling)
            return replace(
                coding,
                subsampled=sampling == "4:2:0",
                sampling=sampling if sampling not in ("4:4:4", "4:2:0") else None,
                quality=self.jpeg.quality,
            )
        if self.format == "tiff":
            compression = TIFF_COMPRESSIONS.get(max(self.tags.numbers(259), default=1), "deflate")
            tile = self.tags.numbers(322) + self.tags.numbers(323)
            return replace(coding, compression=compression, tile=tile if len(tile) == 2 else None)
        if self.format == "avif":
            own = avif.coding(self.head)
            bits = field(header, "bits-per-sample") or 8
            return replace(coding, bits=bits, subsampled=own.subsampled, lossless=own.lossless, cicp=own.cicp)
        if self.format == "webp":
            with self._file() as file:
                return replace(coding, lossless=webp.is_lossless(file))
        cicp = self.png.cicp
        return replace(coding, cicp=(cicp[0], cicp[1]) if cicp else None)

    def _unfit(self, got: str, expected: str) -> InputError:
        return InputError(f"{self.name} {got}", expected, "export it as a 16-bit RGB TIFF")

    def _damaged(self, cause: str) -> InputError:
        return InputError(
            f"{self.name} is damaged or cut short ({cause})",
            f"a whole {formats.FORMATS[self.format].title} file",
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
    memory = np.ascontiguousarray(pixels).data
    return Photo.from_bands(
        pyvips.Image.new_from_memory(memory, width, height, bands, VIPS_FORMATS[pixels.dtype]), "array"
    )


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


def field(image: pyvips.Image, name: str) -> Any:
    """A metadata field of a pyvips image, or None."""
    return image.get(name) if image.get_typeof(name) else None


def reason(error: pyvips.Error) -> str:
    """The one line of a libvips error that says most."""
    for line in str(error.detail or error.message).splitlines():
        text = re.sub(r"^\w+: ", "", line.strip())
        if text.startswith("bad seek"):
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
