"""What a stage and the coarser ones add to the photo, on scratch, and its view at a finer scale."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np

from allfocus import compiled
from allfocus.photo.canvas import Canvas
from allfocus.photo.tiling import Box

ONE = 32767.0
MARGIN = 2
MEMORY_LIMIT = 160 * 2**20
"""Up to 27 megapixels it stays in memory, of which it takes as much as holds anything; adding to a file is slower."""
CELL_PX = 32
BLOCK_ROWS, BLOCK_COLUMNS = 128, 1536
# Catmull-Rom weights at a quarter of a pixel: a fine pixel's centre lies there between four coarse ones
CUBIC = np.array([-0.0703125, 0.8671875, 0.2265625, -0.0234375], np.float32)


class Residual:
    """A signed picture: that of the stage before, enlarged, and what this one adds to it; three channels.

    What is added is kept in fixed point (1/32767 per step, so zero stays exactly zero). Channels lie apart, (3, h, w),
    as the network has them. Several threads may add in any order with the same result.

    Args:
        width, height: in px of its stage.
        coarser: of the stage before, of half the size (rounded up); None before the first.
    """

    def __init__(self, width: int, height: int, coarser: Residual | None = None) -> None:
        self.width, self.height = width, height
        self._coarser = coarser
        # one channel below the other
        self._canvas = Canvas(width, 3 * height, 1, np.uint16, memory_limit=MEMORY_LIMIT)
        self._filled = np.zeros((-(-height // CELL_PX), -(-width // CELL_PX)), bool)  # cells with anything in them
        self._adding = threading.Lock()

    def add(self, box: Box, values: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Add (3, h, w) float32 values, times weights of (h, w), to a box inside; sums are clipped to [-1, 1]."""
        weights = np.ones((box.height, box.width), np.float32) if weights is None else weights
        held = self._held(box)
        if held is None or not compiled.AVAILABLE:
            self._add_rounded(box, values, weights)
            return
        any_in = np.zeros(box.width, np.uint16)
        with self._adding:
            compiled.add_steps(values, weights, ONE, held, any_in)
            self._fill(box, np.flatnonzero(any_in))

    def _add_rounded(self, box: Box, values: np.ndarray, weights: np.ndarray) -> None:
        factor = weights * np.float32(ONE)
        added = _buffer("added", (3, box.height, box.width), np.int16)
        steps = _buffer("steps", (box.height, box.width))
        for plane, whole in zip(values, added, strict=True):
            np.multiply(plane, factor, out=steps)
            np.rint(steps, out=steps)
            whole[:] = np.clip(steps, -ONE, ONE, out=steps)
        columns = np.flatnonzero(np.bitwise_or.reduce(added, axis=1).any(axis=0))
        if not len(columns):
            return
        with self._adding:
            for part in self._held_parts(box):
                y, x = part.y - box.y, part.x - box.x
                for channel, whole in enumerate(added[:, y : y + part.height, x : x + part.width]):
                    sums = np.add(whole, self._steps(part, channel), dtype=np.int32)
                    whole[:] = np.clip(sums, -int(ONE), int(ONE), out=sums)
            for channel, whole in enumerate(added):
                self._canvas.write(self._place(box, channel), whole.view(np.uint16)[..., None])
            self._fill(box, columns)

    def _fill(self, box: Box, columns: np.ndarray) -> None:
        """Note that something was added in columns of a box."""
        self._filled[_cells(box.y, box.height), np.unique((box.x + columns) // CELL_PX)] = True

    def read(self, box: Box) -> np.ndarray:
        """(3, h, w) float32 at a box inside."""
        return self.enlarged(box, 1)

    def enlarged(self, box: Box, factor: int) -> np.ndarray:
        """The residual as a stage `factor` (1, 2 or 4) times finer sees it, at a box of that stage's px: (3, h, w).

        Cubic interpolation, edges repeated; the box may reach outside.
        """
        values = np.empty((3, box.height, box.width), np.float32)
        for block in blocks(box):
            found = self.block(block, factor)
            y, x = block.y - box.y, block.x - box.x
            values[:, y : y + block.height, x : x + block.width] = 0 if found is None else found
        return values

    def block(self, box: Box, factor: int = 1) -> np.ndarray | None:
        """The same at one of `blocks`, for the caller to write into; None where nothing was added."""
        if factor > 1:
            left, top = box.x // 2, box.y // 2
            right, bottom = -(-(box.x + box.width) // 2), -(-(box.y + box.height) // 2)
            seen = Box(left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN)
            coarse = self.block(seen, factor // 2)
            if coarse is None:
                return None
            y, x = box.y - 2 * top, box.x - 2 * left
            return _doubled(coarse)[:, y : y + box.height, x : x + box.width]
        (top, bottom), (left, right) = _within(box.y, box.height, self.height), _within(box.x, box.width, self.width)
        inner = Box(left, top, right - left, bottom - top)
        values = None if self._coarser is None else self._coarser.block(inner, 2)
        if self._holds(inner):
            own = self._own(inner)
            values = own if values is None else np.add(own, values, out=own)
        if values is None or inner == box:
            return values
        rows = np.clip(np.arange(box.y, box.y + box.height), top, bottom - 1) - top
        columns = np.clip(np.arange(box.x, box.x + box.width), left, right - 1) - left
        return values.take(rows, 1).take(columns, 2)

    def steps(self, box: Box) -> np.ndarray | None:
        """What `block` has at full size as (3, h, w) int16 of 1/`ONE` each, only to be read.

        None where nothing was added, where there is a coarser residual, or where they lie in a file.
        """
        return self._held(box) if self._coarser is None and self._holds(box) else None

    def close(self) -> None:
        """Release the scratch, that of the stages before too."""
        self._canvas.close()
        if self._coarser is not None:
            self._coarser.close()

    def _own(self, box: Box) -> np.ndarray:
        held = self._held(box)
        if compiled.AVAILABLE and held is not None:
            return compiled.scale_steps(held, 1 / ONE)
        values = np.empty((3, box.height, box.width), np.float32)
        for channel, plane in enumerate(values):
            np.multiply(self._steps(box, channel), np.float32(1 / ONE), out=plane)
        return values

    def _held(self, box: Box) -> np.ndarray | None:
        """(3, h, w) int16, to write into; None where they lie in a file."""
        whole = self._canvas.view(Box(0, 0, self.width, 3 * self.height))
        if whole is None:
            return None
        channels = whole.view(np.int16).reshape(3, self.height, self.width)
        return channels[:, box.y : box.y + box.height, box.x : box.x + box.width]

    def _steps(self, box: Box, channel: int) -> np.ndarray:
        """(h, w) int16 of a channel."""
        return self._canvas.read(self._place(box, channel)).view(np.int16)[..., 0]

    def _holds(self, box: Box) -> bool:
        """Whether this stage has added anything to the cells of a box."""
        return bool(self._filled[_cells(box.y, box.height), _cells(box.x, box.width)].any())

    def _held_parts(self, box: Box) -> Iterator[Box]:
        """The parts of a box to which something was added before: of a tile, the edges that it shares with others."""
        rows, columns = _cells(box.y, box.height), _cells(box.x, box.width)
        filled = self._filled[rows, columns]
        for first, last in _alike(filled):
            top, height = _overlap(box.y, box.height, (rows.start + first) * CELL_PX, (rows.start + last) * CELL_PX)
            for left, right in _alike(filled[first][:, None]):
                if filled[first, left]:
                    x, width = _overlap(
                        box.x, box.width, (columns.start + left) * CELL_PX, (columns.start + right) * CELL_PX
                    )
                    yield Box(x, top, width, height)

    def _place(self, box: Box, channel: int) -> Box:
        return Box(box.x, box.y + channel * self.height, box.width, box.height)


def strips(box: Box) -> Iterator[Box]:
    """A box cut into strips of `BLOCK_ROWS`."""
    for y in range(box.y, box.y + box.height, BLOCK_ROWS):
        yield Box(box.x, y, box.width, min(BLOCK_ROWS, box.y + box.height - y))


def blocks(box: Box) -> Iterator[Box]:
    """A box cut into blocks that the processor's cache holds with what is made of them."""
    for strip in strips(box):
        for x in range(box.x, box.x + box.width, BLOCK_COLUMNS):
            yield Box(x, strip.y, min(BLOCK_COLUMNS, box.x + box.width - x), strip.height)


def _alike(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and end of each run of equal rows."""
    changes = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
    yield from zip([0, *changes.tolist()], [*changes.tolist(), len(rows)], strict=True)


def _overlap(start: int, length: int, first: int, end: int) -> tuple[int, int]:
    """Start and length of what two stretches share."""
    begin = max(start, first)
    return begin, min(start + length, end) - begin


def _cells(start: int, length: int) -> slice:
    return slice(start // CELL_PX, -(-(start + length) // CELL_PX))


def _within(start: int, length: int, size: int) -> tuple[int, int]:
    """First and end of the pixels of a stretch that lie inside; the nearest pixel where none does."""
    first = min(max(start, 0), size - 1)
    return first, max(min(start + length, size), first + 1)


def _doubled(values: np.ndarray) -> np.ndarray:
    """Twice as many rows and columns of (3, h, w) float32, less the `MARGIN` around, which is only read.

    Fine pixels lie a quarter of a pixel to either side of a coarse one.
    """
    height, wide = values.shape[1] - 2 * MARGIN, values.shape[2]
    width = wide - 2 * MARGIN
    tall = _buffer("tall", (2, 3, height, wide))
    _halves(values, tall)
    # all rows as one line; what the last pixels of a row take from the next one is left out below
    sides = _buffer("sides", (2, tall.size))
    _halves(tall.reshape(1, -1, 1), sides[:, None, : tall.size - 2 * MARGIN, None])
    fine = np.empty((3, height, 2, width, 2), np.float32)
    for side, lines in enumerate(sides.reshape(2, *tall.shape)[..., :width]):
        for half, rows in enumerate(lines):  # one by one: numpy is seven times slower on all of them
            fine[:, :, half, :, side] = rows
    return fine.reshape(3, 2 * height, 2 * width)


def _halves(values: np.ndarray, halves: np.ndarray) -> None:
    """The fine pixels before and those behind the coarse ones, less the `MARGIN`, along the second axis of three."""
    count, (before, behind) = halves.shape[2], halves
    product = np.multiply(values, CUBIC[1], out=_buffer("nearest", values.shape))
    nearest = product[:, 2 : 2 + count]
    product = np.multiply(values, CUBIC[2], out=_buffer("other", values.shape))
    np.add(nearest, product[:, 1 : 1 + count], out=before)
    np.add(nearest, product[:, 3 : 3 + count], out=behind)
    for weight, first, second in ((CUBIC[0], 3, 1), (CUBIC[3], 0, 4)):
        np.multiply(values, weight, out=product)
        before += product[:, first : first + count]
        behind += product[:, second : second + count]


_buffers = threading.local()


def _buffer(name: str, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """Of this thread, with any values: used again and again, it stays in the processor's cache."""
    size = math.prod(shape)
    held = _buffers.__dict__.get(name)
    if held is None or held.size < size:
        held = _buffers.__dict__[name] = np.empty(size, dtype)
    return held[:size].reshape(shape)
