"""Boxes of pixels, and the plan of overlapping tiles that a photo is cut into: pure integers, made beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from allfocus.errors import OptionError


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels: `x`, `y` of its top left corner, `width` and `height` (integers, pixels)."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Span:
    """One tile along one axis.

    Attributes:
        source: first pixel and length of what the network sees; may reach past the photo's end, never before 0.
        target: first pixel and length of what the tile contributes to; inside the photo.
        ramp_in: leading pixels of the target that fade in over the previous tile.
        ramp_out: trailing pixels of the target that fade out under the next tile.
    """

    source: tuple[int, int]
    target: tuple[int, int]
    ramp_in: int
    ramp_out: int

    def weights(self) -> np.ndarray:
        """Blending weights over the target (float32); those of all spans of an axis sum to 1 at every pixel."""
        weights = np.ones(self.target[1], np.float32)
        if self.ramp_in:
            weights[: self.ramp_in] = _ramp(self.ramp_in)
        if self.ramp_out:
            weights[-self.ramp_out :] = 1 - _ramp(self.ramp_out)
        return weights


@dataclass(frozen=True)
class Tile:
    """A span down and a span across."""

    rows: Span
    columns: Span

    @property
    def source(self) -> Box:
        """What the network sees; may reach past the right and the bottom edge of the photo."""
        return Box(self.columns.source[0], self.rows.source[0], self.columns.source[1], self.rows.source[1])

    @property
    def target(self) -> Box:
        """What the tile contributes to."""
        return Box(self.columns.target[0], self.rows.target[0], self.columns.target[1], self.rows.target[1])

    def ramps(self) -> tuple[np.ndarray, np.ndarray]:
        """Blending weights over the target, down and across, whose product is that of a pixel: (h,), (w,) float32."""
        return self.rows.weights(), self.columns.weights()


@dataclass(frozen=True)
class TilePlan:
    """All tiles of a photo, row by row, planned before anything runs.

    Attributes:
        width, height: of every tile's source in px.
        halo: pixels of context that a tile sees around what it contributes.
        tiles: in the order in which they run.
    """

    width: int
    height: int
    halo: int
    tiles: tuple[Tile, ...]

    def whole(self, wanted: np.ndarray, cell: int) -> list[Tile]:
        """The tiles of which anything is wanted: `wanted` is (rows, columns) bool, for squares of `cell` px."""
        return [tile for tile in self.tiles if cells_of(tile.target, wanted, cell).any()]


def plan(width: int, height: int, *, side: int, halo: int, overlap: int, multiple: int) -> TilePlan:
    """Cut a photo into overlapping tiles that all start on the network's grid.

    Tiles are oblong where that fits the photo better: of all grids whose tiles are no larger than the square, the one
    in which the network sees the fewest pixels.

    Args:
        width: of the photo in px.
        height: of the photo in px.
        side: of the square that is as much as the network may see at once; rounded down to the multiple.
        halo: context in px that is seen but not used; at the photo's borders there is none.
        overlap: px over which neighbours are blended; the pipeline passes `restore.OVERLAP_PX`.
        multiple: sources start and end on multiples of this.

    Raises:
        OptionError: if the tile is too small for halo and overlap.
    """
    smallest = 2 * halo + 2 * overlap + multiple
    asked, side = side, side // multiple * multiple
    if side < smallest and (side < width or side < height):
        raise OptionError(
            f"a tile of {asked} px",
            f"at least {smallest + -smallest % multiple} px (halo {halo}, overlap {overlap})",
            "a larger --tile, or --tile 0 for the automatic size",
        )
    tile_width, tile_height = _fitting_shape(width, height, side, halo, overlap, multiple)
    columns = _spans(width, tile_width, halo, overlap, multiple)
    rows = _spans(height, tile_height, halo, overlap, multiple)
    return TilePlan(tile_width, tile_height, halo, tuple(Tile(row, column) for row in rows for column in columns))


def _fitting_shape(width: int, height: int, side: int, halo: int, overlap: int, multiple: int) -> tuple[int, int]:
    """Width and height of the tiles, no larger in area than a square of the side, that see the fewest pixels."""
    cheapest, best = None, (side, side)
    wide = width + -width % multiple
    for count in range(1, max(1, -(-width // multiple)) + 1):
        tile_width = _shortest_side(width, count, halo, overlap, multiple)
        tallest = side * side // tile_width // multiple * multiple
        rows = _count(height, tallest, halo, overlap, multiple)
        if rows is not None:
            tile_height = _shortest_side(height, rows, halo, overlap, multiple)
            seen = count * tile_width * rows * tile_height
            if cheapest is None or seen < cheapest:
                cheapest, best = seen, (tile_width, tile_height)
        if tile_width < side and tile_width < wide and tallest >= height:
            break  # narrower tiles only add seams
    return best


def _shortest_side(length: int, count: int, halo: int, overlap: int, multiple: int) -> int:
    """The side of the shortest tiles of which this many cover a length."""
    padded = length + -length % multiple
    if count == 1:
        return padded
    side = 2 * halo + overlap + multiple - 1 - (-(padded - 2 * halo - overlap) // count)
    return min(padded, max(side + -side % multiple, 2 * halo + 2 * overlap + multiple))


def _count(length: int, side: int, halo: int, overlap: int, multiple: int) -> int | None:
    """How many tiles of a side cover a length; None if the side has no room for halo and overlap."""
    padded = length + -length % multiple
    if padded <= side:
        return 1
    if side < 2 * halo + 2 * overlap + multiple:
        return None
    return math.ceil((padded - 2 * halo - overlap) / (side - 2 * halo - overlap - multiple + 1))


def _spans(length: int, side: int, halo: int, overlap: int, multiple: int) -> list[Span]:
    padded = length + -length % multiple
    count = _count(length, side, halo, overlap, multiple)
    assert count is not None  # the plan has refused such sides
    if count == 1:
        return [Span((0, padded), (0, length), 0, 0)]
    last = padded - side
    starts = [last * i // (count - 1) // multiple * multiple for i in range(count)]
    cuts = [(starts[i + 1] + starts[i] + side) // 2 for i in range(count - 1)]
    before, after = overlap // 2, overlap - overlap // 2
    spans = []
    for i, start in enumerate(starts):
        begin = 0 if i == 0 else cuts[i - 1] - before
        end = length if i == count - 1 else cuts[i] + after
        spans.append(
            Span((start, side), (begin, end - begin), 0 if i == 0 else overlap, 0 if i == count - 1 else overlap)
        )
    return spans


def cells_of(box: Box, cells: np.ndarray, side: int) -> np.ndarray:
    """Of (rows, columns) squares of a picture, those that a box touches."""
    bottom, right = -(-(box.y + box.height) // side), -(-(box.x + box.width) // side)
    return cells[box.y // side : bottom, box.x // side : right]


def _ramp(length: int) -> np.ndarray:
    return ((np.arange(length, dtype=np.float32) + 0.5) / length).astype(np.float32)
