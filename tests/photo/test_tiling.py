"""The plan of tiles: every pixel covered once, every source on the grid, context kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
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
        total[box.y : box.y + box.height, box.x : box.x + box.width] += np.multiply.outer(*tile.ramps())[..., None]
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


def test_whole_tiles_are_those_of_which_anything_is_wanted() -> None:
    planned = make(700, 500)
    wanted = np.zeros((16, 22), bool)
    wanted[9, 13] = True  # 416 to 448 px across, 288 to 320 down
    found = planned.whole(wanted, 32)
    assert 0 < len(found) < len(planned.tiles)
    for tile in planned.tiles:
        box = tile.target
        touched = box.x < 448 and box.x + box.width > 416 and box.y < 320 and box.y + box.height > 288
        assert (tile in found) == touched
    assert planned.whole(~wanted & wanted, 32) == []
