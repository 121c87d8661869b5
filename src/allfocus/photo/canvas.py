"""The scratch picture that results are written into, box by box."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from allfocus.errors import OutputError
from allfocus.photo.memory_pool import POOL
from allfocus.photo.tiling import Box

MEMORY_LIMIT = 64 * 2**20

VIPS_FORMATS = {np.dtype(np.uint8): "uchar", np.dtype(np.uint16): "ushort", np.dtype(np.float32): "float"}

pyvips.cache_set_max(0)  # every operation here reads a stream or a scratch file once; a cache only holds memory


@contextmanager
def vips_name(path: Path) -> Iterator[str]:
    """A name under which libvips can open or make a file whose folder need not have a name in UTF-8.

    A name that is not would also spoil the message of the next error, which pyvips reads as UTF-8.
    """
    if is_utf8(path):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def vips_source(path: Path) -> pyvips.Source:
    """A file for libvips to read, whatever its name."""
    if is_utf8(path):
        return pyvips.Source.new_from_file(str(path))
    file = os.open(path, os.O_RDONLY)
    try:
        return pyvips.Source.new_from_descriptor(file)  # has its own copy
    finally:
        os.close(file)


def is_utf8(path: Path) -> bool:
    """Whether a file's name can be written in UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


class Canvas:
    """A picture of `width` x `height` pixels with `bands` channels, written and read in boxes from any thread.

    Up to 64 MiB it is a plain array; above, an unlinked temporary file that is reached with pread and pwrite, so that
    the resident memory does not grow with the photo and nothing is left behind whatever happens. Starts as zeros.

    Args:
        width, height: size in pixels, at least 1.
        bands: channels per pixel.
        dtype: uint8, uint16 or float32.
        folder: where the temporary file goes; the system's folder for temporary files if None.
        memory_limit: bytes up to which it is an array; `MEMORY_LIMIT` if None.
        blank: whether it has to start as zeros; False for who writes every pixel.

    Raises:
        OutputError: the scratch file cannot be made or the disk is full.
    """

    def __init__(
        self,
        width: int,
        height: int,
        bands: int,
        dtype: np.typing.DTypeLike,
        *,
        folder: str | Path | None = None,
        memory_limit: int | None = None,
        blank: bool = True,
    ):
        self.width = width
        self.height = height
        self.bands = bands
        self.dtype = np.dtype(dtype)
        self._pixel = self.bands * self.dtype.itemsize
        self._folder = Path(folder or tempfile.gettempdir())
        self._array: np.ndarray | None = None
        self._file: int | None = None
        self._image: pyvips.Image | None = None
        self._lock = threading.Lock()
        if self.dtype not in VIPS_FORMATS or min(width, height, bands) < 1:
            raise ValueError(f"no canvas of {width}x{height}x{bands} {self.dtype}")
        size = width * height * self._pixel
        if size <= (MEMORY_LIMIT if memory_limit is None else memory_limit):
            self._array = POOL.zeros(size, cleared=blank).view(self.dtype).reshape(height, width, bands)
            return
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:  # on Linux it never has a name: no kill leaves it
                self._file = os.dup(file.fileno())
            os.ftruncate(self._file, size)
        except OSError as error:
            self.close()
            raise self._refusal(error) from error

    def write(self, box: Box, array: np.ndarray) -> None:
        """Put `array` (height, width, bands) of the canvas's dtype at `box`; the box must lie inside.

        Raises:
            ValueError: another shape or dtype, or a box that reaches outside.
            OutputError: the disk with the scratch file is full.
        """
        self._check(box)
        if array.shape != (box.height, box.width, self.bands) or array.dtype != self.dtype:
            raise ValueError(f"{array.shape} {array.dtype} does not fill {box} of {self.bands} {self.dtype} bands")
        if self._array is not None:
            self._array[box.y : box.y + box.height, box.x : box.x + box.width] = array
            return
        rows = np.ascontiguousarray(array).reshape(box.height, -1).view(np.uint8)
        if box.width == self.width:
            rows = rows.reshape(1, -1)
        try:
            for index, row in enumerate(rows):
                self._write_all(row.data, self._offset(box.x, box.y + index))
        except OSError as error:
            raise self._refusal(error) from error

    def read(self, box: Box) -> np.ndarray:
        """A copy of `box` as (height, width, bands) of the canvas's dtype; the box must lie inside.

        Raises:
            ValueError: a box that reaches outside, or a closed canvas.
        """
        self._check(box)
        if self._array is not None:
            return self._array[box.y : box.y + box.height, box.x : box.x + box.width].copy()
        out = np.empty((box.height, box.width, self.bands), self.dtype)
        rows = out.reshape(box.height, -1).view(np.uint8)
        if box.width == self.width:
            rows = rows.reshape(1, -1)
        for index, row in enumerate(rows):
            self._read_all(row.data, self._offset(box.x, box.y + index))
        return out

    def view(self, box: Box) -> np.ndarray | None:
        """The pixels of `box` themselves, to read and to write; None where they lie in a file."""
        self._check(box)
        return None if self._array is None else self._array[box.y : box.y + box.height, box.x : box.x + box.width]

    def image(self) -> pyvips.Image:
        """The canvas as a pyvips image over the same pixels (no copy), which stays valid after `close`.

        Raises:
            ValueError: a closed canvas.
        """
        kind = VIPS_FORMATS[self.dtype]
        if self._array is not None:
            return pyvips.Image.new_from_memory(self._array.data, self.width, self.height, self.bands, kind)
        if self._file is None:
            raise ValueError("this canvas is closed")
        with self._lock:
            if self._image is None:
                # /dev/fd reaches the unlinked file; libvips opens it anew and maps small windows of it only
                self._image = pyvips.Image.rawload(
                    f"/dev/fd/{self._file}", self.width, self.height, self.bands, format=kind, revalidate=True
                )
            return self._image

    def close(self) -> None:
        """Release the pixels; images made from them keep theirs."""
        self._array = None
        self._image = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Canvas:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.close()

    def _check(self, box: Box) -> None:
        if self._array is None and self._file is None:
            raise ValueError("this canvas is closed")
        if box.x < 0 or box.y < 0 or box.x + box.width > self.width or box.y + box.height > self.height:
            raise ValueError(f"{box} reaches outside the canvas of {self.width}x{self.height}")

    def _offset(self, x: int, y: int) -> int:
        return (y * self.width + x) * self._pixel

    def _write_all(self, data: memoryview, offset: int) -> None:
        assert self._file is not None
        while data:
            done = os.pwrite(self._file, data, offset)
            data, offset = data[done:], offset + done

    def _read_all(self, data: memoryview, offset: int) -> None:
        assert self._file is not None
        while data:
            piece = os.pread(self._file, len(data), offset)
            if not piece:
                raise ValueError("the scratch file ended early")
            data[: len(piece)] = piece
            data, offset = data[len(piece) :], offset + len(piece)

    def _refusal(self, error: OSError) -> OutputError:
        size = self.width * self.height * self._pixel
        return OutputError(
            f"the scratch file in {self._folder} could not be written ({error.strerror})",
            f"{size / 1e6:.0f} MB free there",
            "free some space, or point TMPDIR at a roomier disk",
        )


def field(image: pyvips.Image, name: str) -> Any:
    """A metadata field of a pyvips image, or None."""
    return image.get(name) if image.get_typeof(name) else None
