"""Camera raw photos, developed by LibRaw through rawpy (the `raw` extra)."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pyvips

from allfocus.errors import InputError, MissingExtraError
from allfocus.photo.photo import Photo


def decode(data: bytes | Path, name: str, check_size: Callable[[int, int], None]) -> Photo:
    """Develop a camera raw photo (a path or its bytes) to 16-bit sRGB with the camera's white balance.

    Raises:
        MissingExtraError: rawpy is not installed.
        InputError: a damaged file or a camera that LibRaw does not know.
    """
    try:
        import rawpy  # type: ignore[import-not-found]
    except ImportError:
        raise MissingExtraError(f"reading {name} (camera raw)", "raw", "rawpy") from None
    try:
        with rawpy.imread(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as file:
            check_size(file.sizes.width, file.sizes.height)
            pixels = file.postprocess(use_camera_wb=True, output_bps=16, output_color=rawpy.ColorSpace.sRGB)
    except rawpy.LibRawError as error:
        cause = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise InputError(
            f"{name} cannot be developed ({cause})",
            "a camera raw file that LibRaw can read",
            "develop it to a 16-bit TIFF",
        ) from None
    height, width, bands = pixels.shape
    return Photo.from_bands(
        pyvips.Image.new_from_memory(pixels.tobytes(), width, height, bands, "ushort"),
        "raw",
        notes=("the raw file was developed to 16-bit sRGB with the camera's white balance",),
    )
