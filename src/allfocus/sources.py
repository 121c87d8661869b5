"""Sources that `deblur` accepts, and how the result is returned: a path, bytes, an array or a PIL image."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allfocus.errors import InputError, OptionError
from allfocus.photo.canvas import Canvas
from allfocus.photo.codecs import MAX_PIXELS, decode, encode
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box

if TYPE_CHECKING:
    from PIL.Image import Image

    Source = str | os.PathLike[str] | bytes | bytearray | memoryview | np.ndarray | Image
    Result = Path | bytes | np.ndarray | Image
else:
    Source = Result = Any  # Pillow need not be here

PIL_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "F")
LARGEST_FLOAT_BYTES = 8


@dataclass(frozen=True)
class Given:
    """One photo as the caller passed it: a path, an encoded photo, an array, or a PIL image and its `array`."""

    path: Path | None = None
    data: bytes | None = None
    array: np.ndarray | None = None
    image: Any = None

    @classmethod
    def of(cls, source: Any) -> Given:
        """From any `Source`. OptionError for another type or PIL mode, InputError for floats longer than 64 bit."""
        if isinstance(source, str | os.PathLike):
            name = os.fspath(source)
            if not isinstance(name, str) or not name:
                raise OptionError(f"the path {name!r}", "a non-empty path", 'allfocus.deblur("photo.jpg")')
            return cls(path=Path(name))
        if isinstance(source, bytes | bytearray | memoryview):
            return cls(data=bytes(source))
        if isinstance(source, np.ndarray):
            if source.dtype.kind == "f" and source.dtype.itemsize > LARGEST_FLOAT_BYTES:
                raise InputError(f"an array of {source.dtype}", "float16, float32 or float64", "astype('float64')")
            return cls(array=source)
        library = sys.modules.get("PIL.Image")
        if library is not None and isinstance(source, library.Image):
            if source.mode not in PIL_MODES:
                raise OptionError(
                    f"a PIL {source.mode} image", f"one of {', '.join(PIL_MODES)}", 'image.convert("RGB")'
                )
            return cls(array=np.asarray(source), image=source)
        if hasattr(source, "read"):
            hint = "file.read()"
        elif hasattr(source, "__array__"):
            hint = "numpy.asarray(...)"
        else:
            hint = 'allfocus.deblur("photo.jpg")'
        raise OptionError(f"a {type(source).__name__}", "a path, bytes, a numpy array or a PIL image", hint)

    def decode(self, pixel_limit: int = MAX_PIXELS, *, allow_damaged: bool = False) -> Photo:
        """The photo; see `photo.codecs.decode`."""
        source = next(one for one in (self.path, self.data, self.array) if one is not None)
        return decode(source, max_pixels=pixel_limit, allow_damaged=allow_damaged)

    def returned(self, photo: Photo, pixels: Canvas, quality: int | None = None) -> Any:
        """The result in the form in which the photo was given: bytes, an array or a PIL image."""
        if self.image is not None:
            return self._as_image(_as_array(self.array, photo, pixels))
        if self.array is not None:
            return _as_array(self.array, photo, pixels)
        return encode(photo, pixels, None, quality=quality)

    def _as_image(self, array: np.ndarray) -> Image:
        image = sys.modules["PIL.Image"].fromarray(array)
        image.info = dict(self.image.info)
        return image


def _as_array(source: Any, photo: Photo, pixels: Canvas) -> np.ndarray:
    """Pixels in the shape and dtype of the source; what was not changed is equal to the bit, also in float64."""
    sharp = pixels.read(Box(0, 0, pixels.width, pixels.height))
    before = (source if source.ndim == 3 else source[..., None])[..., : photo.bands]
    if source.dtype.kind == "f" and source.dtype != sharp.dtype:
        change = sharp.astype(np.float64) - before.astype(np.float32)
        sharp = np.where(change == 0, before, np.clip(before + change, 0, 1))
    if photo.alpha is not None:
        sharp = np.concatenate([sharp, source[..., -1:]], axis=2)
    return sharp.astype(source.dtype).reshape(source.shape)
