"""The plan of tiles where only some cells of a photo are wanted: rectangles around them, tiles of few sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from allfocus.photo.tiling import Box, Span, Tile, cells_of, plan

NEW_SIZE_PX = 300_000
"""An engine takes as much longer over its first tile of a size as over so many pixels (`tile_sizes` in
benchmarks/speed_trials.json)."""
SMALL_PX = 300_000  # what sees less is not divided: that would save less than a new size costs


@dataclass(frozen=True)
class Part:
    """A tile cut down to the `target` that is wanted of it, and the `source` that the network sees for that."""

    tile: Tile
    source: Box
    target: Box

    def ramps(self) -> tuple[np.ndarray, np.ndarray]:
        """The tile's blending weights over the part's target, as `Tile.ramps`."""
        (down, across), tile, target = self.tile.ramps(), self.tile.target, self.target
        y, x = target.y - tile.y, target.x - tile.x
        return down[y : y + target.height], across[x : x + target.width]


@dataclass(frozen=True)
class Cutter:
    """Cuts a photo into parts that hold every wanted cell, at the least cost (`cost_px`) of the plans it compares.

    Wanted cells are divided where a band of rows or columns without any lies between them, as long as that is cheaper.
    The rectangle around the rest gets tiles as `tiling.plan` has them, cut down to what is wanted of each. A part sees
    more than it has to where that spares another size. The plan depends on nothing but the attributes and the cells.

    Attributes:
        width, height: of the photo in px.
        cell: side of a cell in px, a multiple of `multiple`.
        side, halo, overlap, multiple: as for `tiling.plan`.
    """

    width: int
    height: int
    cell: int
    side: int
    halo: int
    overlap: int
    multiple: int

    def parts(self, wanted: np.ndarray) -> list[Part]:
        """The parts for (rows, columns) bool; none where nothing is wanted.

        Raises:
            OptionError: if the tile is too small for halo and overlap.
        """
        rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
        if len(rows) == 0:
            return []
        whole = self._of_few_sizes(self._rectangle(wanted, rows, columns))
        halves = _halves(wanted, rows, columns) if seen_px(whole) > SMALL_PX else ()
        if not halves:
            return whole
        divided = self._of_few_sizes([part for half in halves for part in self.parts(half)])
        return divided if cost_px(divided) < cost_px(whole) else whole

    def _rectangle(self, wanted: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> list[Part]:
        """The parts of the rectangle around wanted cells, which lie in these rows and columns."""
        x, width = self._seen(*self._pixels(columns, 0, self.width), self.width)
        y, height = self._seen(*self._pixels(rows, 0, self.height), self.height)
        planned = plan(width, height, side=self.side, halo=self.halo, overlap=self.overlap, multiple=self.multiple)
        moved = (Tile(_moved(tile.rows, y), _moved(tile.columns, x)) for tile in planned.tiles)
        return [part for tile in moved if (part := self._part(tile, wanted)) is not None]

    def _part(self, tile: Tile, wanted: np.ndarray) -> Part | None:
        """A tile cut down to what is wanted of it; None if nothing is."""
        target = tile.target
        here = cells_of(target, wanted, self.cell)
        if not here.any():
            return None
        rows = np.flatnonzero(here.any(axis=1)) + target.y // self.cell
        columns = np.flatnonzero(here.any(axis=0)) + target.x // self.cell
        y, end_y = self._pixels(rows, target.y, target.y + target.height)
        x, end_x = self._pixels(columns, target.x, target.x + target.width)
        seen_x, width = self._seen(x, end_x, self._padded(self.width))
        seen_y, height = self._seen(y, end_y, self._padded(self.height))
        return Part(tile, Box(seen_x, seen_y, width, height), Box(x, y, end_x - x, end_y - y))

    def _of_few_sizes(self, parts: list[Part]) -> list[Part]:
        """The same parts; a source is enlarged to the size of another where that is cheaper than a size of its own."""
        sizes: list[tuple[int, int]] = []
        sources: dict[int, Box] = {}
        for index in sorted(range(len(parts)), key=lambda index: -_area(parts[index].source)):
            source = parts[index].source
            own = (source.width, source.height)
            fitting = (size for size in sizes if size[0] >= own[0] and size[1] >= own[1])
            width, height = min(fitting, key=lambda size: size[0] * size[1], default=own)
            if width * height - _area(source) > NEW_SIZE_PX:
                width, height = own
            if (width, height) not in sizes:
                sizes.append((width, height))
            x = min(source.x, self._padded(self.width) - width)
            y = min(source.y, self._padded(self.height) - height)
            sources[index] = Box(x, y, width, height)
        return [replace(part, source=sources[index]) for index, part in enumerate(parts)]

    def _pixels(self, lines: np.ndarray, low: int, high: int) -> tuple[int, int]:
        """First pixel and end of rows or columns of cells, within bounds."""
        return max(low, int(lines[0]) * self.cell), min(high, (int(lines[-1]) + 1) * self.cell)

    def _seen(self, start: int, end: int, length: int) -> tuple[int, int]:
        """First pixel and length of what has to be seen for pixels from `start` to `end`, inside a length."""
        first, last = max(0, start - self.halo), end + self.halo
        first -= first % self.multiple
        return first, min(length, last + -last % self.multiple) - first

    def _padded(self, length: int) -> int:
        return length + -length % self.multiple


def cost_px(tiles: Sequence[Part | Tile]) -> int:
    """What tiles cost, in pixels: those that the network sees, and `NEW_SIZE_PX` for each size."""
    return seen_px(tiles) + NEW_SIZE_PX * len({(tile.source.width, tile.source.height) for tile in tiles})


def seen_px(tiles: Sequence[Part | Tile]) -> int:
    """Pixels that the network sees."""
    return sum(_area(tile.source) for tile in tiles)


def _area(box: Box) -> int:
    return box.width * box.height


def _halves(wanted: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Wanted cells before and behind the widest band of rows or columns without any; nothing if there is none."""
    down, across = (int(np.diff(lines).max(initial=1)) for lines in (rows, columns))
    if max(down, across) == 1:
        return ()
    lines, axis = (rows, 0) if down >= across else (columns, 1)
    before = np.arange(wanted.shape[axis]) <= lines[int(np.diff(lines).argmax())]
    before = np.expand_dims(before, 1 - axis)
    return wanted & before, wanted & ~before


def _moved(span: Span, by: int) -> Span:
    (start, length), (first, count) = span.source, span.target
    return replace(span, source=(start + by, length), target=(first + by, count))
