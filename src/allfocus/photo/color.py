"""Transfer functions of display-referred RGB, and the ways into it."""

from __future__ import annotations

import numpy as np
import pyvips


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] of sRGB code values in [0, 1] (IEC 61966-2-1), any shape, in the dtype given.

    >>> float(srgb_to_linear(np.array(1.0)))
    1.0
    """
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """SRGB code values in [0, 1] of linear light in [0, 1] (IEC 61966-2-1), any shape, in the dtype given.

    >>> round(float(linear_to_srgb(np.array(0.5))), 4)
    0.7354
    """
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Luma (..., ) of display-referred RGB (..., 3): the weights of ITU-R BT.601, as 8-bit photos are read."""
    return rgb @ np.array([0.299, 0.587, 0.114], rgb.dtype)


def cmyk_to_srgb(image: pyvips.Image) -> pyvips.Image:
    """The sRGB picture of a CMYK picture of the same depth, through its own profile or a generic one.

    Raises:
        pyvips.Error: a profile that is damaged or not for CMYK, once pixels are read.
    """
    depth = 16 if image.format == "ushort" else 8
    return image.icc_transform(
        "srgb", embedded=True, input_profile="cmyk", intent="relative", black_point_compensation=True, depth=depth
    )


def for_display(image: pyvips.Image, icc: bytes | None = None, alpha: pyvips.Image | None = None) -> pyvips.Image:
    """A photo's pixels as people are shown them: 8-bit sRGB, 3 bands, transparency over white.

    Args:
        image: grey or display-referred RGB; uchar, ushort, or float in [0, 1].
        icc: the profile of those pixels; sRGB (or its grey) is taken for granted without, and where it is damaged or
            for other bands.
        alpha: transparency in the same depth, or None.
    """
    if image.format == "float":
        image, peak = (image * 65535).rint().cast("ushort"), 1.0
    else:
        peak = 65535.0 if image.format == "ushort" else 255.0
    deep = image.format == "ushort"
    shown = None
    if icc and icc[16:20] == (b"RGB " if image.bands == 3 else b"GRAY"):
        plain = image.copy(
            interpretation=("rgb16" if deep else "srgb") if image.bands == 3 else "grey16" if deep else "b-w"
        )
        plain.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)  # type: ignore[arg-type]
        converted = plain.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=8
        )
        try:
            converted.crop(0, 0, 1, 1).copy_memory()
            shown = converted
        except pyvips.Error:
            pass  # a damaged profile says nothing
    if shown is None:
        shown = (image * (255 / 65535)).rint().cast("uchar") if deep else image
        shown = shown if shown.bands == 3 else shown.bandjoin([shown, shown])
    if alpha is not None:
        share = alpha.cast("float") / peak
        shown = (shown.cast("float") * share + (share * -255 + 255)).rint().cast("uchar")
    shown = shown.cast("uchar").copy(interpretation="srgb")
    for name in shown.get_fields():
        if name.endswith("-data"):
            shown.remove(name)
    return shown
