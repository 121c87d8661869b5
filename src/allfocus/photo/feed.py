"""A picture made strip by strip while libvips writes it, so that it is never whole in memory.

libvips maps a scratch file whole when it writes it, which counts as resident memory. So it is given an uncompressed
TIFF instead that exists only as its header: the strips are made when their bytes are asked for, top to bottom.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pyvips

from allfocus.photo.exif import Directory, ExifEntry, packed

STRIP_BYTES = 2**20


class Feed:
    """A picture of `width` x `height` x `bands` samples of `dtype` for libvips, to be read once.

    Args:
        width, height: size in pixels.
        bands: 1 to 4 channels: grey, grey + alpha, RGB or RGB + alpha.
        dtype: uint8, uint16 or float32.
        rows: makes `count` rows from `y` on, as (count, width, bands) of `dtype`.

    Keep it until libvips is done with the picture, then close it.

    Attributes:
        error: what `rows` raised, if it did; libvips then fails with an error that says less.
    """

    def __init__(
        self, width: int, height: int, bands: int, dtype: np.dtype, rows: Callable[[int, int], np.ndarray]
    ) -> None:
        self.error: BaseException | None = None
        self._rows = rows
        self._height = height
        self._row_bytes = width * bands * dtype.itemsize
        self._strip_rows = min(height, max(1, STRIP_BYTES // self._row_bytes))
        self._header = self._made_header(width, bands, dtype)
        self._size = len(self._header) + height * self._row_bytes
        self._position = 0
        self._strip: tuple[int, bytes] = (-1, b"")
        self._source = pyvips.SourceCustom()  # must outlive the picture: libvips calls back into it
        self._source.on_read(self._read)
        self._source.on_seek(self._seek)

    def image(self) -> pyvips.Image:
        """The picture as a sequential pyvips image."""
        return pyvips.Image.tiffload_source(self._source, access="sequential", fail_on="error")

    def close(self) -> None:
        """Let go of what makes the rows. libvips is done with the picture; its callbacks keep the feed until Python
        looks for cycles, and that may be many photos later."""
        self._rows, self._strip = _none_left, (-1, b"")

    def _made_header(self, width: int, bands: int, dtype: np.dtype) -> bytes:
        count = -(-self._height // self._strip_rows)
        colours = 3 if bands >= 3 else 1

        def short(*values: int) -> ExifEntry:
            return ExifEntry(3, len(values), struct.pack(f"<{len(values)}H", *values))

        def long(*values: int) -> ExifEntry:
            return ExifEntry(16, len(values), struct.pack(f"<{len(values)}Q", *values))

        entries: Directory = {
            256: long(width),
            257: long(self._height),
            258: short(*[8 * dtype.itemsize] * bands),
            259: short(1),
            262: short(2 if colours == 3 else 1),
            277: short(bands),
            278: long(self._strip_rows),
            284: short(1),
            339: short(*[3 if dtype.kind == "f" else 1] * bands),
        }
        if bands > colours:
            entries[338] = short(2)
        sizes = [self._strip_rows * self._row_bytes] * count
        sizes[-1] -= (count * self._strip_rows - self._height) * self._row_bytes
        entries[279] = long(*sizes)
        entries[273] = long(*[0] * count)
        start = 16 + len(packed(entries, 16, "<", big=True))
        entries[273] = long(*[start + index * sizes[0] for index in range(count)])
        return b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + packed(entries, 16, "<", big=True)

    def _seek(self, offset: int, whence: int) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def _read(self, size: int) -> bytes:
        try:
            data = self._piece(size)
        except BaseException as error:  # nothing may escape into libvips, nor get lost there
            self.error = error
            return b""
        self._position += len(data)
        return data

    def _piece(self, size: int) -> bytes:
        start = len(self._header)
        if self._position < start:
            return self._header[self._position : self._position + size]
        if self._position >= self._size:
            return b""
        strip_bytes = self._strip_rows * self._row_bytes
        index, offset = divmod(self._position - start, strip_bytes)
        if self._strip[0] != index:
            y = index * self._strip_rows
            rows = self._rows(y, min(self._strip_rows, self._height - y))
            self._strip = index, rows.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes()
        return self._strip[1][offset : offset + size]


def _none_left(y: int, count: int) -> np.ndarray:
    raise ValueError("this feed is closed")
