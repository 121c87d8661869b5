"""Areas that a working scale has to process, measured before the network runs, so that tiles in focus are skipped."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from allfocus import compiled
from allfocus.defocus.measure import BLOCK_PX, REACH_PX, SMOOTHING, STEP_PX, radius_px_of, sampled_energies
from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import Reader
from allfocus.photo.tiling import Box
from allfocus.pixel_work import AT_ONCE, in_turn
from allfocus.scales import (
    GRID_PX,
    SHARP_PX,
    SOFT_PX,
    TEXTURE,
    Texture,
    blurred_share,
    grid_mean,
    left_for_full_size,
)

CELL_PX = 32
NEGLIGIBLE = 0.02
"""Where no pixel of a cell needs more than this share of the network's correction, the cell is left out: a correction
of 50 grey levels of 255 would be one. Where a photo is in focus the network's own are far smaller."""
NEGLIGIBLE_AFTER_HALF = 0.05
"""The same at full size where half size has done its part: there 999 of 1000 corrections are below 17 levels."""
BORDER_PX = 16  # as far as repeated edges are seen by a radius
_ONE = 65535.0
_ONE_OF_REST = 255.0
_BAND = 64  # rows of the grid that are finished at once
_MARGIN = 8  # rows of the grid around them that windows reach
_PER_CELL = CELL_PX // GRID_PX


class Need:
    """What a working scale has to do at each place of a photo: `scales.needs_scale` and what coarser scales have left.

    It is measured on a grid of every fourth pixel and enlarged linearly. After a coarser scale, places whose
    surroundings are in focus are left alone (`scales.Texture`).

    Args:
        reader: the photo at that scale.
        width, height: in px, of the plane that tiles cover; beyond the reader's size its edges are repeated.
        finest: whether no finer scale follows.
        coarser: of the scale before, of half the size.
        rest: whether it also finds what it and the coarser ones leave for full size, which follows.
    """

    def __init__(
        self,
        reader: Reader,
        width: int,
        height: int,
        *,
        finest: bool,
        coarser: Need | None = None,
        rest: bool = False,
    ) -> None:
        self.width, self.height = width, height
        self._reader, self._finest = reader, finest
        self._negligible = NEGLIGIBLE_AFTER_HALF if finest and coarser is not None else NEGLIGIBLE
        self._across, self._down = -(-width // GRID_PX), -(-height // GRID_PX)
        self._grid = Canvas(self._across, self._down, 1, np.uint16)
        self._rest = Canvas(self._across, self._down, 1, np.uint8) if rest else None
        self.cells = np.zeros((-(-height // CELL_PX), -(-width // CELL_PX)), bool)
        """(rows, columns) of `CELL_PX` squares: whether the scale has anything to do there."""
        self._texture = Texture(*(np.zeros(self.cells.shape, np.float32) for _ in range(3)))
        before = coarser if finest else None
        with Canvas(self._across, self._down, 2, np.float32) as energies, ThreadPoolExecutor(AT_ONCE) as workers:
            _finish(workers.map(in_turn(lambda block: self._measure(block, energies, before)), self._blocks()))
            _finish(workers.map(in_turn(lambda band: self._judge(band, energies, coarser)), self._bands()))
            if coarser is not None:
                alone = self._texture.in_focus(CELL_PX * reader.shrink, _PER_CELL**2)
                _finish(workers.map(in_turn(lambda band: self._leave(band, alone)), self._bands()))
            _finish(workers.map(in_turn(self._find), self._bands()))

    def read(self, box: Box, ramps: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
        """(h, w) float32 from 0 to 1 at a box inside; times the product of `ramps`, (h,) and (w,), if there are any."""
        grid = self._grid.view(Box(0, 0, self._across, self._down))
        if compiled.AVAILABLE and grid is not None:
            place = box.y, box.x, box.height, box.width
            return compiled.enlarge(grid[..., 0], 1 / _ONE, GRID_PX, place, ramps)
        top, left = box.y // GRID_PX, box.x // GRID_PX
        down, across = (-(-(start + length) // GRID_PX) - first for start, length, first in (
            (box.y, box.height, top), (box.x, box.width, left)))  # fmt: skip
        around = _read_around(self._grid, Box(left, top, across, down))[..., 0] * np.float32(1 / _ONE)
        y, x = box.y - top * GRID_PX, box.x - left * GRID_PX
        values = _enlarged(_enlarged(around, GRID_PX, 1), GRID_PX, 0)  # fewer rows while columns are made
        values = values[y : y + box.height, x : x + box.width]
        return values if ramps is None else values * (ramps[0][:, None] * ramps[1])

    def close(self) -> None:
        """Release the scratch."""
        self._grid.close()
        if self._rest is not None:
            self._rest.close()

    def left_for(self, box: Box) -> np.ndarray | None:
        """(h, w) float32 from 0 to 1 at a box of the grid of the picture of twice the size; None if nothing follows."""
        if self._rest is None:
            return None
        top, left = box.y // 2, box.x // 2
        half = Box(left, top, -(-(box.x + box.width) // 2) - left, -(-(box.y + box.height) // 2) - top)
        around = _read_around(self._rest, half)[..., 0] * np.float32(1 / _ONE_OF_REST)
        values = _enlarged(_enlarged(around, 2, 0), 2, 1)
        y, x = box.y - 2 * top, box.x - 2 * left
        return values[y : y + box.height, x : x + box.width]

    def _blocks(self) -> Iterable[Box]:
        """Of the plane, in px."""
        rows, columns = BLOCK_PX
        for y in range(0, self.height, rows):
            for x in range(0, self.width, columns):
                yield Box(x, y, min(columns, self.width - x), min(rows, self.height - y))

    def _bands(self) -> Iterable[Box]:
        """Of the grid."""
        for y in range(0, self._down, _BAND):
            yield Box(0, y, self._across, min(_BAND, self._down - y))

    def _measure(self, block: Box, energies: Canvas, coarser: Need | None) -> None:
        """The energy of the gradients before and after the known blur, in squares of the grid."""
        x, y = block.x // GRID_PX, block.y // GRID_PX
        place = Box(x, y, -(-block.width // GRID_PX), -(-block.height // GRID_PX))
        left_over = None if coarser is None else coarser.left_for(_with_margin(place, self._across, self._down))
        if left_over is not None and left_over.max() <= self._negligible:
            return
        width, height = (GRID_PX * size for size in (place.width, place.height))  # edges are repeated
        around = Box(block.x - REACH_PX, block.y - REACH_PX, width + 2 * REACH_PX + 1, height + 2 * REACH_PX + 1)
        grey = self._reader.grey(around)
        energies.write(place, _energies(grey))

    def _judge(self, band: Box, energies: Canvas, coarser: Need | None) -> None:
        """What there is to do in a band of the grid, and what is left for a finer scale."""
        around = _with_margin(band, self._across, self._down)
        before, after = (grid_mean(one) for one in np.moveaxis(energies.read(around), 2, 0))
        radius_px = radius_px_of(before, after)
        first = band.y - around.y
        inner = np.s_[first : first + band.height]
        share = blurred_share(radius_px, finest=self._finest, mean=grid_mean)[inner]
        left_over = None if coarser is None else coarser.left_for(band)
        if self._rest is not None:
            inside = self._without_borders(radius_px, around)
            rest = left_for_full_size(inside, self._reader.shrink, mean=grid_mean)[inner]
            rest = rest if left_over is None else rest * left_over
            self._rest.write(band, np.rint(rest * np.float32(_ONE_OF_REST)).astype(np.uint8)[..., None])
        elif left_over is not None:
            share = share * left_over
        self._grid.write(band, np.rint(share * np.float32(_ONE)).astype(np.uint16)[..., None])
        textured = before[inner] > TEXTURE
        sharp = textured & (radius_px[inner] < SHARP_PX)
        soft = textured & (radius_px[inner] > SOFT_PX)
        if left_over is not None:
            soft &= left_over > self._negligible
        texture = self._texture
        for cells, values in ((texture.textured, textured), (texture.sharp, sharp), (texture.soft, soft)):
            _of_band(cells, band)[:] = _per_cell(np.add, values.astype(np.float32))

    def _leave(self, band: Box, alone: np.ndarray) -> None:
        """Leave a share of the need alone, given at the corners of cells."""
        share = self._grid.read(band)[..., 0]
        row = band.y // _PER_CELL
        kept = 1 - alone[row : row + -(-band.height // _PER_CELL) + 1]
        rows, columns = ((np.arange(size) + 0.5) / _PER_CELL for size in share.shape)
        share = np.rint(share * _between(_between(kept, rows, 0), columns, 1)).astype(np.uint16)
        self._grid.write(band, share[..., None])

    def _find(self, band: Box) -> None:
        """Tell which cells there is something to do in."""
        share = _read_around(self._grid, band)[..., 0].astype(np.float32)
        for axis in (0, 1):  # pixels at the border of a square lie between two samples
            values = share if axis == 0 else share.T
            next_to = np.maximum(values[:-2], values[2:]) - values[1:-1]
            most = values[1:-1] + np.maximum(next_to, 0) * np.float32(0.5 - 0.5 / GRID_PX)
            share = most if axis == 0 else most.T
        _of_band(self.cells, band)[:] = _per_cell(np.maximum, share) > self._negligible * _ONE

    def _without_borders(self, radius_px: np.ndarray, band: Box) -> np.ndarray:
        """The radii with those at the photo's borders, where repeated edges look sharp, taken from further inside."""
        places, border = [], BORDER_PX // GRID_PX
        sizes = (self._reader.height, band.y, band.height), (self._reader.width, band.x, band.width)
        for size, start, length in sizes:
            last = (size - BORDER_PX) // GRID_PX - 1
            if last < border:
                return radius_px  # too small to have an inside
            places.append(np.clip(np.clip(np.arange(start, start + length), border, last) - start, 0, length - 1))
        return radius_px[places[0]][:, places[1]]


def _finish(done: Iterable[None]) -> None:
    for _ in done:
        pass


def _energies(grey: np.ndarray) -> np.ndarray:
    """Before and after the known blur, means over squares of the grid: (rows, columns, 2)."""
    if compiled.AVAILABLE:
        return compiled.binned_energies(grey, SMOOTHING, REACH_PX)
    # once more a pixel further down and across: of a straight, sharp edge every second pixel says too little
    samples = zip(sampled_energies(grey[:-1, :-1]), sampled_energies(grey[1:, 1:]), strict=True)
    return np.stack([_binned(one + other) for one, other in samples], axis=2)


def _binned(samples: np.ndarray) -> np.ndarray:
    """Means over squares of the grid of what was sampled in them twice."""
    each = GRID_PX // STEP_PX
    parts = [samples[row::each, column::each] for row in range(each) for column in range(each)]
    return sum(parts[1:], parts[0]) * np.float32(0.5 / each**2)


def _per_cell(combined: np.ufunc, values: np.ndarray) -> np.ndarray:
    """Values of the grid combined over each cell."""
    rows, columns = (np.arange(0, size, _PER_CELL) for size in values.shape)
    return combined.reduceat(combined.reduceat(values, rows, 0), columns, 1)


def _of_band(cells: np.ndarray, band: Box) -> np.ndarray:
    row = band.y // _PER_CELL
    return cells[row : row + -(-band.height // _PER_CELL)]


def _with_margin(box: Box, across: int, down: int) -> Box:
    """A box of the grid with what windows reach around it, inside the grid."""
    left, top = max(box.x - _MARGIN, 0), max(box.y - _MARGIN, 0)
    right, bottom = min(box.x + box.width + _MARGIN, across), min(box.y + box.height + _MARGIN, down)
    return Box(left, top, right - left, bottom - top)


def _read_around(canvas: Canvas, box: Box) -> np.ndarray:
    """A box and one place around it on each side, edges repeated."""
    columns = np.clip(np.arange(box.x - 1, box.x + box.width + 1), 0, canvas.width - 1)
    rows = np.clip(np.arange(box.y - 1, box.y + box.height + 1), 0, canvas.height - 1)
    left, top = int(columns[0]), int(rows[0])
    inside = canvas.read(Box(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1))
    return inside.take(rows - top, 0).take(columns - left, 1)


def _enlarged(values: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """Linear interpolation to `factor` times as many places along an axis of (h, w), less one at either end."""
    values = values if axis == 0 else values.T
    count = len(values) - 2
    steps = np.diff(values, axis=0)
    shape = (count * factor, values.shape[1])
    enlarged = np.empty(shape, np.float32) if axis == 0 else np.empty(shape[::-1], np.float32).T
    for index in range(factor):
        way = (index + 0.5) / factor - 0.5
        first = 0 if way < 0 else 1  # from the place before, or from this one
        np.multiply(steps[first : first + count], np.float32(way % 1), out=enlarged[index::factor])
        enlarged[index::factor] += values[first : first + count]
    return enlarged if axis == 0 else enlarged.T


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation at places along an axis."""
    first = np.minimum(places.astype(int), values.shape[axis] - 2)
    way = np.expand_dims(places - first, 1 - axis).astype(np.float32)
    return np.take(values, first, axis) * (1 - way) + np.take(values, first + 1, axis) * way
