"""Photos in and out: files, bytes or arrays to a `Photo`; a `Photo` with new pixels to a file or bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from allfocus.atomic_file import AtomicFile
from allfocus.photo import encoder
from allfocus.photo.canvas import Canvas
from allfocus.photo.decoder import Decoder, Header, from_array
from allfocus.photo.photo import Photo

MAX_PIXELS = 500_000_000


def decode(
    source: str | Path | bytes | np.ndarray,
    *,
    max_pixels: int = MAX_PIXELS,
    folder: str | Path | None = None,
    allow_damaged: bool = False,
) -> Photo:
    """Read a photo whole and once: every pixel is decoded here, so what is damaged is found here.

    Args:
        source: a file's path, a file's bytes, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16
            or float32 in [0, 1]: grey or display-referred RGB, the fourth channel transparency.
        max_pixels: larger photos are refused from their header, before anything is decoded.
        folder: where decoded photos above 64 MiB wait on disk; the system's folder for temporary files if None.
        allow_damaged: take what can be read of a damaged file, with a note, instead of refusing it.

    Returns:
        The photo, upright, colour and transparency apart, with its ICC, EXIF and XMP bytes and notes of what was
        converted.

    Raises:
        InputError: a source that is missing, empty, damaged, too large, or not a photo.
        MissingExtraError: a HEIC or camera raw file without the extra that reads it.
        OutputError: the disk for the decoded pixels is full.

    >>> photo = decode(np.zeros((4, 6), np.uint8))
    >>> photo.width, photo.height, photo.bands, photo.depth
    (6, 4, 1, 8)
    """
    if isinstance(source, np.ndarray):
        return from_array(source, max_pixels)
    return Decoder(source, max_pixels, folder, allow_damaged).photo()


def header(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Format and size of a photo from its first bytes; nothing is decoded.

    Raises:
        InputError: see `decode`; damage further in is found only there.
    """
    return Decoder(source, max_pixels, None).header()


def encode(
    photo: Photo,
    pixels: Canvas,
    target: str | Path | None,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
) -> bytes | None:
    """Write `pixels` with everything that travels with `photo`; `losses` says what the format cannot hold.

    Args:
        photo: gives alpha, ICC profile, EXIF, XMP, resolution, and how a file of the same format is to be stored.
        pixels: the new colour channels, in the photo's bands and dtype. Alpha goes along if the size is the same.
        target: a file, which appears whole or not at all; None returns bytes.
        format: "jpeg", "png", "tiff", "webp" or "avif"; if None, from the target's ending, or else the photo's own.
        quality: 1 to 100 for JPEG, WebP and AVIF; if None, a JPEG keeps that of its source (at least 90), others
            get 95 (AVIF 90), and lossless WebP and AVIF stay so.
        overwrite: whether an existing target may be replaced.

    Returns:
        The file's bytes if `target` is None.

    Raises:
        OptionError: a format or quality that cannot be written.
        OutputError: the target exists, cannot be written, or the disk is full; nothing is left behind.
        ValueError: pixels of other bands or another dtype than the photo's.
    """
    if (pixels.bands, pixels.dtype) != (photo.bands, photo.dtype):
        raise ValueError(f"{pixels.bands} {pixels.dtype} bands for a photo of {photo.bands} {photo.dtype} bands")
    work = encoder.Encoder(photo, pixels, encoder.format_for(photo, target, format), quality)
    if target is None:
        return work.to_bytes()
    with AtomicFile(target, overwrite=overwrite, permissions=photo.permissions) as output:
        work.to_file(output)
    return None


def check(photo: Photo, target: str | Path | None, *, quality: int | None = None) -> None:
    """Refuse before the work what `encode` would refuse after it.

    Raises:
        OptionError: a format or quality that cannot be written.
        OutputError: a picture with longer sides than the format holds.
    """
    encoder.check(photo.width, photo.height, encoder.format_for(photo, target, None), quality)


def losses(
    photo: Photo, target: str | Path | None = None, *, format: str | None = None, quality: int | None = None
) -> tuple[str, ...]:
    """What a file of this target or format cannot hold of the photo, one plain sentence each; see `encode`.

    Raises:
        OptionError: a format that cannot be written.

    >>> losses(decode(np.zeros((4, 6), np.uint16)), format="jpeg")
    ('16-bit samples were rounded to 8 bit, all that JPEG holds',)
    """
    return encoder.losses(photo, encoder.format_for(photo, target, format), quality)
