"""The plan of tiles: every pixel covered once, every source on the grid, context kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.errors import OptionError
from allfocus.photo.tiling import TilePlan, _spans, plan

sizes = st.integers(1, 700)


def make(
    width: int, height: int, *, side: int = 256, halo: int = 48, overlap: int = 16, multiple: int = 16
) -> TilePlan:
    return plan(width, height, side=side, halo=halo, overlap=overlap, multiple=multiple)


@given(sizes, sizes)
def test_weights_of_all_tiles_sum_to_one_everywhere(width: int, height: int) -> None:
    total = np.zeros((height, width, 1))
    for tile in make(width, height).tiles:
        box = tile.target
        total[box.y : box.y + box.height, box.x : box.x + box.width] += tile.weights()
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(sizes, sizes, st.sampled_from([8, 16]), st.integers(0, 40), st.integers(0, 24))
def test_tiles_start_on_the_grid_and_keep_their_context(
    width: int, height: int, multiple: int, halo: int, overlap: int
) -> None:
    for tile in make(width, height, halo=halo, overlap=overlap, multiple=multiple).tiles:
        for span, length in ((tile.rows, height), (tile.columns, width)):
            start, side = span.source
            first, count = span.target
            assert start % multiple == 0
            assert side % multiple == 0
            assert start >= 0
            assert start + side <= length + -length % multiple
            assert first == 0 or first >= start + halo
            assert first + count == length or first + count <= start + side - halo
            assert span.ramp_in + span.ramp_out <= count


@pytest.mark.parametrize("width", [255, 256])
def test_a_photo_that_fits_is_one_tile(width: int) -> None:
    tiles = make(width, 7).tiles
    assert len(tiles) == 1
    assert (tiles[0].source.width, tiles[0].source.height) == (256, 16)


def test_one_pixel_more_than_a_tile_makes_two() -> None:
    assert len(make(257, 256).tiles) == 2


def test_an_oblong_photo_of_the_area_of_a_tile_is_one_tile() -> None:
    assert len(plan(1229, 820, side=1024, halo=104, overlap=32, multiple=16).tiles) == 1


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([160, 256, 1024]))
def test_tiles_are_no_larger_than_the_square(width: int, height: int, side: int) -> None:
    planned = make(width, height, side=side)
    assert planned.width * planned.height <= side * side
    assert all((tile.source.width, tile.source.height) == (planned.width, planned.height) for tile in planned.tiles)


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_oblong_tiles_see_no_more_than_squares(width: int, height: int) -> None:
    squares = [_spans(length, 512, 48, 16, 16) for length in (width, height)]
    seen = [sum(span.source[1] for span in spans) for spans in squares]
    assert sum(tile.source.width * tile.source.height for tile in make(width, height, side=512).tiles) <= (
        seen[0] * seen[1]
    )


def test_a_tile_smaller_than_its_context_is_refused_with_the_size_needed() -> None:
    with pytest.raises(OptionError, match="a tile of 120 px; expected at least 144 px"):
        make(1000, 1000, side=120)


@given(
    st.integers(1, 700), st.integers(1, 700), st.sampled_from([240, 320, 512]), st.sampled_from([16, 64, 128]),
    st.floats(0, 1), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_parts_hold_all_that_is_wanted_with_its_weights_and_context(
    width: int, height: int, side: int, grain: int, share: float, seed: int
) -> None:
    cell, halo = 32, 48
    planned = plan(width, height, side=side, halo=halo, overlap=32, multiple=16)
    wanted = np.random.default_rng(seed).random((-(-height // cell), -(-width // cell))) < share**3
    parts = planned.parts(wanted, cell, grain)
    total = np.zeros((height, width), np.float32)
    for part in parts:
        source, target, tile = part.source, part.target, part.tile
        assert source.x % 16 == source.y % 16 == source.width % 16 == source.height % 16 == 0
        for axis, length in (("x", "width"), ("y", "height")):
            start, end = getattr(source, axis), getattr(source, axis) + getattr(source, length)
            first, last = getattr(tile.source, axis), getattr(tile.source, axis) + getattr(tile.source, length)
            begin, stop = getattr(target, axis), getattr(target, axis) + getattr(target, length)
            assert first <= start <= begin < stop
            assert stop <= end <= last
            assert start == first or begin - start >= halo
            assert end == last or end - stop >= halo
        part_of = total[target.y : target.y + target.height, target.x : target.x + target.width]
        part_of += part.weights()[..., 0]
    pixels = wanted.repeat(cell, 0).repeat(cell, 1)[:height, :width]
    np.testing.assert_allclose(total[pixels], 1, atol=1e-6)
    if not wanted.any():
        assert parts == []
