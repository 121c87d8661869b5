"""One photo of a session in linear light, and its capture time."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allfocus.errors import InputError, needs
from allfocus.photo import exif
from allfocus.photo.codecs import decode
from allfocus.photo.color import linear_to_srgb, luma, srgb_to_linear
from allfocus.photo.formats import PHOTO_EXTENSIONS, sniff
from allfocus.photo.tiling import Box

Image = NDArray[np.float32]

SATURATED = 0.985
"""Of the largest code: from here on a sensor, or the curve after it, may have clipped."""
HEAD_BYTES = 64
TIME, DIGITISED, CHANGED = 0x9003, 0x9004, 0x0132
FRACTION = 0x9291
SETTINGS = (0x829A, 0x829D, 0x8827, 0x9204, 0x9206)
"""Exposure time, f-number, sensitivity, exposure compensation and distance: what a bracket changes."""


@dataclass(frozen=True)
class Frame:
    """A photo as light.

    Attributes:
        linear: float32 (H, W, 3), linear light in [0, 1] with the primaries of sRGB.
        clipped: bool (H, W), true where a channel is at the top of its range.
    """

    linear: Image
    clipped: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.linear.shape[0], self.linear.shape[1]

    @property
    def luma(self) -> Image:
        """Display-referred luma, float32 (H, W) in [0, 1]."""
        return luma(encoded(self.linear))

    def flipped(self) -> Frame:
        """The frame with left and right exchanged, as a beam splitter shows it."""
        return Frame(np.ascontiguousarray(self.linear[:, ::-1]), np.ascontiguousarray(self.clipped[:, ::-1]))


def read(path: Path) -> Frame:
    """A photo of any format allfocus reads. Camera raw is developed here without tone curve or automatic brightness.

    Raises:
        InputError: a file that cannot be read. MissingExtraError: the extra `raw` or `heic` is missing.
    """
    with path.open("rb") as file:
        format = sniff(file.read(HEAD_BYTES), path.name)
    if format == "raw":
        linear = _developed(path)
        return Frame(linear, _at_top(linear))
    photo = decode(path)
    pixels = photo.read(Box(0, 0, photo.width, photo.height)).astype(np.float32) / np.float32(photo.peak)
    unit = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    return Frame(srgb_to_linear(unit).astype(np.float32), _at_top(unit))


def encoded(linear: Image) -> Image:
    """Display-referred float32 in [0, 1] of linear light, clipped."""
    return linear_to_srgb(np.clip(linear, 0, 1)).astype(np.float32)


def taken_at(path: Path) -> float | None:
    """Seconds since 1970 of the moment the photo was taken by its EXIF, with fractions where stated; None if untold."""
    places = _directories(path)
    for tag in (TIME, DIGITISED, CHANGED):
        for place in places:
            text = _text(place.get(tag))
            try:
                moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
            except ValueError:
                continue
            digits = _text(places[0].get(FRACTION))
            return moment.timestamp() + (float(f"0.{digits}") if digits.isdigit() else 0.0)
    return None


def settings(path: Path) -> tuple[bytes, ...]:
    """What a photo's EXIF says of exposure, aperture, sensitivity and distance, as stored; empty where untold."""
    found = [next((place[tag] for place in _directories(path) if tag in place), None) for tag in SETTINGS]
    return tuple(entry.value if isinstance(entry, exif.ExifEntry) else b"" for entry in found)


def digest(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def photos(folder: Path) -> list[Path]:
    """The photos in a folder, by name; files with other endings and hidden ones are passed over."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in PHOTO_EXTENSIONS and not path.name.startswith(".")
    )


def _at_top(unit: Image) -> NDArray[np.bool_]:
    return np.asarray(unit.max(axis=2) >= SATURATED)


def _directories(path: Path) -> list[exif.Directory]:
    """The EXIF directory and the one around it; nothing for a file without."""
    try:
        tags = _tags(path)
    except (OSError, ValueError, InputError):
        return []
    if tags is None:
        return []
    inner = tags.entries.get(exif.EXIF_POINTER)
    return [inner, tags.entries] if isinstance(inner, dict) else [tags.entries]


def _tags(path: Path) -> exif.Tags | None:
    import pyvips

    with path.open("rb") as file:
        if file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return exif.read(file)
    try:
        header = pyvips.Image.new_from_file(str(path))
    except pyvips.Error:
        return None
    if "exif-data" not in header.get_fields():
        return None
    blob: Any = header.get("exif-data")
    return None if not isinstance(blob, bytes) else exif.read(io.BytesIO(blob.removeprefix(exif.PREFIX)))


def _text(entry: object) -> str:
    if not isinstance(entry, exif.ExifEntry):
        return ""
    return entry.value.split(b"\0")[0].decode("ascii", "replace").strip()


def _developed(path: Path) -> Image:
    with needs(f"reading {path.name} (camera raw)", "raw", "rawpy"):
        import rawpy  # type: ignore[import-not-found]
    try:
        with rawpy.imread(str(path)) as file:
            pixels = file.postprocess(
                use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0, gamma=(1, 1), output_bps=16,
                output_color=rawpy.ColorSpace.sRGB,
            )  # fmt: skip
    except rawpy.LibRawError as error:
        raise InputError(
            f"{path.name} cannot be developed ({error})", "a raw file that LibRaw reads", "a TIFF"
        ) from None
    return pixels.astype(np.float32) / np.float32(65535)
