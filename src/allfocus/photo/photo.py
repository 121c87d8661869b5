"""A photo in memory or on scratch disk: upright pixels, metadata, and views for the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyvips

from allfocus import compiled
from allfocus.photo.tiling import Box

DTYPES = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16), 32: np.dtype(np.float32)}
DEPTHS = {"uchar": 8, "ushort": 16, "float": 32}
SPACES = {"uchar": ("b-w", "srgb"), "ushort": ("grey16", "rgb16"), "float": ("b-w", "scrgb")}
"""Interpretations in libvips of grey and of RGB."""
PEAKS = {8: 255.0, 16: 65535.0, 32: 1.0}


@dataclass(frozen=True)
class Coding:
    """How the file stored its pixels, so that a file of the same format is written the same way.

    Attributes:
        lossless: the pixels came from a lossless WebP or AVIF file.
        bits: bits per sample in an AVIF file (8, 10 or 12).
        subsampled: a JPEG or AVIF file with chroma of half the size both ways (4:2:0).
        sampling: chroma of another size as people write it ("4:2:2"), which is not written here; None for 4:4:4, 4:2:0.
        quality: of a JPEG file, on libjpeg's scale from 1 to 100; None if it cannot be told.
        compression: TIFF compression ("none", "lzw", "deflate", ...).
        tile: TIFF tile (width, height), None for strips.
        dots_per_mm: horizontal and vertical resolution.
        dots_unit: "in" or "cm", the unit the file gives its resolution in.
        cicp: colour primaries and transfer of an AVIF or PNG file by ITU-T H.273 numbers, as HDR photos state them.
    """

    lossless: bool = False
    bits: int = 8
    subsampled: bool = False
    sampling: str | None = None
    quality: int | None = None
    compression: str = "none"
    tile: tuple[int, int] | None = None
    dots_per_mm: tuple[float, float] = (1.0, 1.0)
    dots_unit: str = "in"
    cicp: tuple[int, int] | None = None


@dataclass(frozen=True)
class Photo:
    """An upright photo and everything that travels with it.

    Attributes:
        image: the colour channels, 1 (grey) or 3 (RGB, display-referred), uchar, ushort or float.
        alpha: transparency in the depth it came in, same size, or None.
        depth: 8, 16 or 32 (float in [0, 1]) bits per sample.
        format: "jpeg", "png", "tiff", "webp", "avif", "heic", "raw" or "array".
        icc, exif, xmp: the profile and metadata as they were in the file, exif from its TIFF header on; None if the
            file had none. An orientation stated in exif or xmp has been applied and reads 1 here.
        notes: what was converted or left out on the way in, one plain sentence each.
        iptc: the Photoshop block of a JPEG, with captions and keywords.
        extended_xmp: of a JPEG, the segments that continue an XMP packet too large for one.
        permissions: the file's permission bits (0o600 and the like); None for what was no file.
        coding: how the file stored its pixels.
        pixels: those of `image` as (height, width, bands), where they lie in memory like that; reading is faster then.
    """

    image: pyvips.Image
    alpha: pyvips.Image | None
    depth: int
    format: str
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()
    iptc: bytes | None = None
    extended_xmp: tuple[bytes, ...] = ()
    permissions: int | None = None
    coding: Coding = field(default_factory=Coding)
    pixels: np.ndarray | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_bands(cls, image: pyvips.Image, format: str, pixels: np.ndarray | None = None, **carried: Any) -> Photo:
        """A photo from the bands of one upright picture: grey, grey + alpha, RGB or RGB + alpha.

        `pixels` are those of the picture where they lie in memory.
        """
        colours = 3 if image.bands >= 3 else 1
        return cls(
            pixels=pixels if image.bands == colours else None,
            image=image.extract_band(0, n=colours),
            alpha=image.extract_band(colours) if image.bands > colours else None,
            depth=DEPTHS[str(image.format)],
            format=format,
            **carried,
        )

    @cached_property  # libvips takes a while to tell
    def width(self) -> int:
        """Pixels across."""
        return self.image.width

    @cached_property
    def height(self) -> int:
        """Pixels down."""
        return self.image.height

    @cached_property
    def bands(self) -> int:
        """Colour channels: 1 or 3."""
        return self.image.bands

    @property
    def dtype(self) -> np.dtype:
        """The numpy dtype of the pixels: uint8, uint16 or float32."""
        return DTYPES[self.depth]

    @property
    def peak(self) -> float:
        """The value of white: 255, 65535 or 1.0."""
        return PEAKS[self.depth]

    def read(self, box: Box) -> np.ndarray:
        """The pixels of `box` (inside the photo) as (height, width, bands) of `dtype`, to write into.

        Raises:
            ValueError: a box that is empty or reaches outside.
        """
        pixels = self.look(box)
        return pixels if self.pixels is None else pixels.copy()

    def look(self, box: Box) -> np.ndarray:
        """The same, only to be read: without a copy if that is possible."""
        if not (0 <= box.x < box.x + box.width <= self.width and 0 <= box.y < box.y + box.height <= self.height):
            raise ValueError(f"{box} reaches outside the photo of {self.width}x{self.height}")
        if self.pixels is not None:
            return self.pixels[box.y : box.y + box.height, box.x : box.x + box.width]
        return fetch(self.image, box)

    def unit(self, shrink: int = 1) -> Reader:
        """A view for the network: float32 RGB in [0, 1], `shrink` (1, 2 or 4) times smaller by box average."""
        return Reader(self, shrink)


class Reader:
    """A photo as float32 RGB in [0, 1], box-averaged `shrink` times smaller, read box by box.

    Its size is the photo's divided by `shrink`, rounded up; where the last cell reaches over the photo's edge, and
    where a box does, the edge pixels are repeated. Grey is repeated to three channels. Reading is thread-safe.
    """

    def __init__(self, photo: Photo, shrink: int = 1):
        if shrink not in (1, 2, 4):
            raise ValueError(f"shrink is 1, 2 or 4, not {shrink}")
        self.photo = photo
        self.shrink = shrink
        self.width = -(-photo.width // shrink)
        self.height = -(-photo.height // shrink)

    def read(self, box: Box) -> np.ndarray:
        """The view's pixels at `box` as float32 (height, width, 3); the box may reach outside the view."""
        return np.ascontiguousarray(self.planes(box).transpose(1, 2, 0))

    def planes(self, box: Box, out: np.ndarray | None = None) -> np.ndarray:
        """The same as float32 (3, height, width), as networks have it; in `out`, if that is given."""
        view = self._repeated(box, out if self.photo.bands == 3 else None)
        if out is None:
            return np.repeat(view, 3, axis=0) if len(view) == 1 else view
        if view is not out:
            out[:] = view
        return out

    def _repeated(self, box: Box, out: np.ndarray | None = None, *, mixed: bool = False) -> np.ndarray:
        """`_inside` at any box, edges repeated; in `out` where none are."""
        left, right = _clamped(box.x, box.width, self.width)
        top, bottom = _clamped(box.y, box.height, self.height)
        whole = (right - left, bottom - top) == (box.width, box.height)
        view = self._inside(left, top, right - left, bottom - top, out if whole else None, mixed=mixed)
        if whole:
            return view
        beyond = _beyond(box.y, box.height, self.height), _beyond(box.x, box.width, self.width)
        return np.pad(view, ((0, 0), *beyond), mode="edge")[:, : box.height, : box.width]

    def grey(self, box: Box) -> np.ndarray:
        """The mean of the three, float32 (height, width)."""
        return self._repeated(box, mixed=True)[0]

    def _inside(self, x: int, y: int, width: int, height: int, out: np.ndarray | None, *, mixed: bool) -> np.ndarray:
        """(bands, height, width) float32 at a place inside the view, all bands in one if `mixed`."""
        photo, shrink = self.photo, self.shrink
        right, bottom = min((x + width) * shrink, photo.width), min((y + height) * shrink, photo.height)
        pixels = photo.look(Box(x * shrink, y * shrink, right - x * shrink, bottom - y * shrink))
        sums = np.uint16 if photo.depth == 8 else np.float32  # 48 x 255 fits, and 48 x 65535 is exact
        bands, peak = photo.bands, photo.peak * shrink**2
        missing = (height * shrink - pixels.shape[0], width * shrink - pixels.shape[1])
        if any(missing):
            pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        if compiled.AVAILABLE and photo.depth != 32:
            together = bands if mixed else 1
            planes = np.empty((bands // together, height, width), np.float32) if out is None else out
            compiled.read(pixels, planes, shrink, 1 / (peak * together), mixed=mixed)
            return planes
        if mixed and bands > 1:
            first, *others = np.ascontiguousarray(pixels.reshape(-1, bands).T)  # as below, rows of one channel
            total = first.astype(sums)
            for band in others:
                total += band
            pixels, bands, peak = total.reshape(*pixels.shape[:2], 1), 1, peak * bands
        if shrink > 1:
            rows = pixels[::shrink].astype(sums)  # (height, width * shrink, bands)
            for index in range(1, shrink):
                rows += pixels[index::shrink]
            pixels = rows
        planes = np.empty((bands, height, width), np.float32) if out is None else out
        for band, plane in enumerate(planes):  # numpy is several times faster on rows of one channel
            values = np.ascontiguousarray(pixels[..., band])
            while values.shape[1] > width:
                values = _pair_sums(values)
            np.multiply(values, np.float32(1 / peak), out=plane)
        return planes


def _pair_sums(values: np.ndarray) -> np.ndarray:
    """Sums of two neighbours each: (h, 2w) uint16 or float32 -> (h, w)."""
    if values.dtype != np.uint16:
        return values[:, ::2] + values[:, 1::2]
    pairs = values.view(np.uint32)  # both in one number; four times faster than every other of them
    return ((pairs & 0xFFFF) + (pairs >> 16)).astype(np.uint16)


def fetch(image: pyvips.Image, box: Box) -> np.ndarray:
    """The pixels of `box` of a pyvips image as a new (height, width, bands) array."""
    data = pyvips.Region.new(image).fetch(box.x, box.y, box.width, box.height)
    return np.frombuffer(data, DTYPES[DEPTHS[str(image.format)]]).reshape(box.height, box.width, image.bands)


def _clamped(start: int, length: int, size: int) -> tuple[int, int]:
    first = min(max(start, 0), size - 1)
    last = min(max(start + length, 1), size)
    return first, max(last, first + 1)


def _beyond(start: int, length: int, size: int) -> tuple[int, int]:
    """How many places of a stretch lie before the first pixel, and how many behind the last."""
    return min(max(-start, 0), length), min(max(start + length - size, 0), length)
