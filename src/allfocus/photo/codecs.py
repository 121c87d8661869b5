"""Photos in and out: files, bytes or arrays to a `Photo`, a `Photo` with new pixels to a file or bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from allfocus.errors import AllfocusError, InputError, OptionError, OutputError
from allfocus.photo import formats, heic, raw
from allfocus.photo.canvas import Canvas
from allfocus.photo.color import cmyk_to_srgb
from allfocus.photo.output import Beside
from allfocus.photo.photo import DTYPES, Coding, Photo, fetch
from allfocus.photo.tiling import Box

MAX_PIXELS = 500_000_000
STRIP_BYTES = 4 * 2**20
QUALITY = {"jpeg": 95, "webp": 90, "avif": 80}
DEPTHS = {"uchar": 8, "ushort": 16, "float": 32}
COLOUR_BANDS = {"cmyk": 4, "srgb": 3, "rgb16": 3, "rgb": 3, "scrgb": 3, "b-w": 1, "grey16": 1}


def decode(
    source: str | Path | bytes | np.ndarray, *, max_pixels: int = MAX_PIXELS, folder: str | Path | None = None
) -> Photo:
    """Read a photo whole and once: every pixel is decoded here, so what is damaged is found here.

    Args:
        source: a file's path, a file's bytes, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16
            or float32 in [0, 1], display-referred RGB, the fourth channel transparency.
        max_pixels: larger photos are refused from their header, before anything is decoded.
        folder: where decoded photos above 64 MiB wait on disk; the system's folder for temporary files if None.

    Returns:
        The photo, upright, colour and transparency apart, with its ICC, EXIF and XMP bytes and notes of what was
        converted.

    Raises:
        InputError: a source that is missing, empty, damaged, too large, or not a photo.
        MissingExtraError: a HEIC or camera raw file without the extra that reads it.
        OutputError: the disk for the decoded pixels is full.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    return _Decoder(source, max_pixels, folder).photo()


class _Decoder:
    """One file on its way to a `Photo`."""

    def __init__(self, source: str | Path | bytes, max_pixels: int, folder: str | Path | None):
        self.max_pixels = max_pixels
        self.folder = folder
        self.notes: list[str] = []
        if isinstance(source, bytes | bytearray | memoryview):
            self.data: bytes | Path = bytes(source)
            self.name = f"data of {len(self.data)} bytes"
            head, size = self.data[:4096], len(self.data)
        else:
            self.data = Path(source)
            self.name = str(source)
            head, size = self._head(self.data)
        if size == 0:
            raise InputError(f"{self.name} is empty (0 bytes)", formats.READABLE, "copy it from the camera again")
        format = formats.sniff(head, self.name)
        if format is None:
            raise InputError(
                f"{self.name} is not a photo this program can read ({_looks(head)})",
                formats.READABLE,
                "open it in the program that made it and export a TIFF or PNG",
            )
        self.format = format

    def photo(self) -> Photo:
        if self.format == "heic":
            return heic.decode(self.data, self.name, self.check_size)
        if self.format == "raw":
            return raw.decode(self.data, self.name, self.check_size)
        try:
            header = self._open()
            self.check_size(header.width, header.height)
            image = self._plain(header)
            canvas = self._stream(image)
        except pyvips.Error as error:
            raise self._damaged(error) from None
        return self._finish(header, image, canvas)

    def check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise InputError(
                f"{self.name} has {width}x{height} = {width * height / 1e6:.0f} megapixels",
                f"at most {self.max_pixels / 1e6:.0f} megapixels",
                "a smaller photo, or raise the limit if you trust this file",
            )

    def _head(self, path: Path) -> tuple[bytes, int]:
        expected = formats.READABLE
        try:
            if path.is_dir():
                raise InputError(f"{path} is a folder", expected, "name a photo inside it")
            if not path.exists():
                raise InputError(f"{path} does not exist", expected, "check the name and the folder you are in")
            if not path.is_file():
                raise InputError(f"{path} is not a regular file", expected, "save it to a file first")
            with path.open("rb") as file:
                return file.read(4096), path.stat().st_size
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{path} cannot be read ({reason})", expected, "check its permissions") from error

    def _open(self) -> pyvips.Image:
        loader = {"avif": "heif"}.get(self.format, self.format) + "load_source"
        if isinstance(self.data, Path):
            source = pyvips.Source.new_from_file(str(self.data))
        else:
            source = pyvips.Source.new_from_memory(self.data)
        return getattr(pyvips.Image, loader)(source, access="sequential", fail_on="error")

    def _plain(self, image: pyvips.Image) -> pyvips.Image:
        """The picture as grey, grey + alpha, RGB or RGB + alpha of 8 bit, 16 bit or float samples."""
        space = image.interpretation
        if space == "cmyk":
            extra = image.extract_band(4) if image.bands > 4 else None
            image = cmyk_to_srgb(image.extract_band(0, n=4) if extra else image)
            image = image.bandjoin(extra) if extra else image
            self.notes.append("CMYK was converted to sRGB")
        elif space in ("lab", "labs", "labq"):
            image = image.colourspace("rgb16" if space == "labs" else "srgb")
            self.notes.append("CIELAB was converted to sRGB")
        if image.format == "double":
            image = image.cast("float")
        if image.format not in DEPTHS:
            raise self._unfit(f"has {image.format} samples", "8 or 16 bit integers, or float samples in [0, 1]")
        if image.bands > 4:
            raise self._unfit(f"has {image.bands} channels", "grey or RGB, with or without transparency")
        if self._field(image, "palette"):
            self.notes.append("the palette was converted to RGB")
        pages = self._field(image, "n-pages")
        if pages and pages > 1:
            self.notes.append(f"only the first of {pages} pages was read")
        return image

    def _stream(self, image: pyvips.Image) -> Canvas:
        dtype = DTYPES[DEPTHS[image.format]]
        canvas = Canvas(image.width, image.height, image.bands, dtype, folder=self.folder)
        region = pyvips.Region.new(image)
        rows = max(1, STRIP_BYTES // (image.width * image.bands * dtype.itemsize))
        for y in range(0, image.height, rows):
            box = Box(0, y, image.width, min(rows, image.height - y))
            data = region.fetch(box.x, box.y, box.width, box.height)
            strip = np.frombuffer(data, dtype).reshape(box.height, box.width, image.bands)
            if dtype == np.float32:
                _check_float(strip, self.name)
            canvas.write(box, strip)
        return canvas

    def _finish(self, header: pyvips.Image, image: pyvips.Image, canvas: Canvas) -> Photo:
        upright = canvas.image()
        orientation = self._field(header, "orientation") or 1
        if orientation > 1:
            upright = upright.copy()
            upright.set_type(pyvips.GValue.gint_type, "orientation", orientation)
            upright = upright.autorot()
        colours = 3 if upright.bands >= 3 else 1
        icc = self._field(image, "icc-profile-data")
        return Photo(
            image=upright.extract_band(0, n=colours),
            alpha=upright.extract_band(colours) if upright.bands > colours else None,
            depth=DEPTHS[upright.format],
            format=self.format,
            icc=icc,
            exif=self._field(header, "exif-data"),
            xmp=self._field(header, "xmp-data"),
            notes=tuple(self.notes),
            coding=self._coding(header),
        )

    def _coding(self, header: pyvips.Image) -> Coding:
        subsample = self._field(header, "jpeg-chroma-subsample")
        tile = self._field(header, "tile-width"), self._field(header, "tile-height")
        return Coding(
            subsampled=subsample == "4:2:0",
            bits=self._field(header, "bits-per-sample") or 8,
            compression="deflate",
            tile=tile if all(tile) else None,
            dots_per_mm=(header.xres, header.yres),
            dots_unit=self._field(header, "resolution-unit") or "in",
        )

    def _unfit(self, got: str, expected: str) -> InputError:
        return InputError(f"{self.name} {got}", expected, "export it as a 16-bit RGB TIFF")

    def _damaged(self, error: pyvips.Error) -> InputError:
        return InputError(
            f"{self.name} is damaged or cut short ({_reason(error)})",
            f"a whole {self.format.upper()} file",
            "copy it from the camera again",
        )

    @staticmethod
    def _field(image: pyvips.Image, name: str) -> Any:
        return image.get(name) if image.get_typeof(name) else None


def encode(
    photo: Photo,
    pixels: Canvas,
    target: str | Path | None,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
) -> bytes | None:
    """Write `pixels` with everything that travels with `photo`.

    Args:
        photo: gives alpha, ICC profile, EXIF (orientation reset to 1), XMP, resolution and the file's coding.
        pixels: the new colour channels in the photo's bands and dtype.
        target: a file, written beside and renamed so that it appears whole or not at all; None returns bytes.
        format: "jpeg", "png", "tiff", "webp" or "avif"; from the target's ending, else the photo's own, if None.
        quality: 1 to 100 for JPEG, WebP and AVIF; 95, 90 and 80 if None.
        overwrite: whether an existing target may be replaced.

    Returns:
        The file's bytes if `target` is None.

    Raises:
        OptionError: a format or quality that cannot be written.
        OutputError: the target exists, cannot be written, or the disk is full; nothing is left behind.
    """
    kind = _kind(photo, target, format)
    if pixels.bands != photo.bands or pixels.dtype != photo.dtype:
        raise ValueError(f"{pixels.bands} {pixels.dtype} bands for a photo of {photo.bands} {photo.dtype} bands")
    if quality is not None and not 1 <= quality <= 100:
        raise OptionError(f"quality {quality}", "a quality from 1 to 100", "quality 95")
    image = _assembled(photo, pixels, kind)
    options = _options(photo, kind, quality)
    saver = {"avif": "heif"}.get(kind, kind) + "save"
    if target is None:
        return getattr(image, saver + "_buffer")(**options)
    with Beside(target, overwrite=overwrite) as beside:
        try:
            getattr(image, saver)(str(beside.temporary), **options)
        except pyvips.Error as error:
            raise beside.refusal(_reason(error)) from None
    return None


def _kind(photo: Photo, target: str | Path | None, format: str | None) -> str:
    if format is None and target is not None:
        format = formats.of_name(target)
        if format is None and Path(target).suffix:
            endings = ", ".join(ending for each in formats.FORMATS.values() for ending in each.extensions[:1])
            raise OptionError(f"{target} ends in {Path(target).suffix}", f"one of {endings}", "another file name")
    format = format or formats.WRITTEN_AS.get(photo.format, photo.format)
    if format not in formats.FORMATS:
        raise OptionError(f"format {format}", f"one of {', '.join(formats.FORMATS)}", "format png")
    return format


def _assembled(photo: Photo, pixels: Canvas, kind: str) -> pyvips.Image:
    image = pixels.image()
    form = formats.FORMATS[kind]
    if photo.alpha is not None and form.alpha and (image.width, image.height) == (photo.width, photo.height):
        image = image.bandjoin(photo.alpha)
    if form.depth < photo.depth and not (kind == "avif" and photo.depth == 16):
        peak = 255 if form.depth == 8 else 65535
        image = (image * (peak / photo.peak)).rint().cast("uchar" if peak == 255 else "ushort")
    spaces = {"uchar": ("b-w", "srgb"), "ushort": ("grey16", "rgb16"), "float": ("b-w", "scrgb")}
    xres, yres = photo.coding.dots_per_mm
    image = image.copy(interpretation=spaces[image.format][photo.bands == 3], xres=xres, yres=yres)
    if photo.icc:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", photo.icc)
    return image


def _options(photo: Photo, kind: str, quality: int | None) -> dict[str, Any]:
    coding, same = photo.coding, photo.format == kind
    chosen = quality or QUALITY.get(kind)
    if kind == "jpeg":
        mode = "on" if same and coding.subsampled else "off"
        return {"Q": chosen, "subsample_mode": mode, "optimize_coding": True, "keep": "icc"}
    if kind == "png":
        return {"keep": "icc"}
    if kind == "tiff":
        predictor = "float" if photo.depth == 32 else "horizontal"
        tiles = {"tile": True, "tile_width": coding.tile[0], "tile_height": coding.tile[1]} if coding.tile else {}
        return {"compression": coding.compression, "predictor": predictor, "keep": "icc", **tiles}
    lossless = same and coding.lossless and quality is None
    if kind == "webp":
        return {"Q": chosen, "lossless": lossless, "keep": "icc"}
    bits = coding.bits if same else 12 if photo.depth > 8 else 8
    return {"Q": chosen, "lossless": lossless, "compression": "av1", "bitdepth": bits, "keep": "icc"}


def _from_array(array: np.ndarray, max_pixels: int) -> Photo:
    expected = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or float32 in [0, 1]"
    got = f"an array of shape {array.shape} and {array.dtype}"
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise InputError(got, expected, "move the channels last and keep one photo an array")
    if pixels.dtype in (np.float64, np.float16):
        pixels = pixels.astype(np.float32)
    if pixels.dtype not in DTYPES.values():
        raise InputError(got, expected, "divide by the largest value and convert to float32")
    height, width, bands = pixels.shape
    if width * height > max_pixels:
        raise InputError(got, f"at most {max_pixels / 1e6:.0f} megapixels", "a smaller photo, or raise the limit")
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype == np.float32:
        _check_float(pixels, "the array")
    kind = {1: "uchar", 2: "ushort", 4: "float"}[pixels.dtype.itemsize]
    image = pyvips.Image.new_from_memory(pixels.data, width, height, bands, kind)
    colours = 3 if bands >= 3 else 1
    return Photo(
        image=image.extract_band(0, n=colours),
        alpha=image.extract_band(colours) if bands > colours else None,
        depth=DEPTHS[kind],
        format="array",
    )


def _check_float(pixels: np.ndarray, name: str) -> None:
    expected = "float samples in [0, 1]"
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} holds NaN or infinite samples", expected, "replace them, or export it again")
    if low < 0 or high > 1:
        raise InputError(f"{name} holds samples from {low:g} to {high:g}", expected, "divide by the value of white")


def _reason(error: pyvips.Error) -> str:
    lines = [line.strip() for line in str(error.detail or error.message).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"


def _looks(head: bytes) -> str:
    if head.startswith((b"GIF8", b"BM", b"%PDF", b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        kinds = {b"GI": "GIF", b"BM": "BMP", b"%P": "PDF", b"\xff\x0a": "JPEG XL", b"\0\0": "JPEG XL"}
        return f"it looks like {kinds[head[:2]]}"
    return "it looks like text" if all(byte >= 32 or byte in b"\t\r\n" for byte in head[:64]) else "unknown content"


__all__ = ["MAX_PIXELS", "AllfocusError", "OutputError", "decode", "encode", "fetch"]
