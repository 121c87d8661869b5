"""The blur radius from disparity: tiles, scales, and what the coarser stages leave to the finer ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.defocus.map import DISPARITY_TO_RADIUS, DefocusMap
from allfocus.photo.tiling import Box, plan

SIDE = 8


def filled(cells: np.ndarray, acted: float, width: int, height: int, scale: int, coarser: DefocusMap | None = None):
    """A map of one stage in one tile."""
    found = DefocusMap(width, height, SIDE, scale, coarser)
    tile = plan(-(-width // scale), -(-height // scale), side=4096, halo=0, overlap=0, multiple=SIDE).tiles[0]
    found.add(tile, cells[None, None].astype(np.float32), np.full((tile.source.height, tile.source.width, 1), acted))
    return found


def test_a_cell_is_disparity_times_its_side_over_half_of_kappa() -> None:
    found = filled(np.array([[0.5, -1.0]]), 1.0, 16, 8, 1)
    np.testing.assert_allclose(found.signed_px, [[0.5 * 8 * 2.5, -1.0 * 8 * 2.5]])
    assert (found.read() >= 0).all()


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 2, 4]))
@settings(max_examples=20, deadline=None)
def test_boxes_are_parts_of_the_whole(width: int, height: int, scale: int) -> None:
    random = np.random.default_rng(width * 100 + height)
    rows, columns = -(-height // (SIDE * scale)), -(-width // (SIDE * scale))
    found = filled(random.normal(size=(rows, columns)), 1.0, width, height, scale)
    whole = found.read()
    assert whole.shape == (height, width)
    box = Box(width // 3, height // 2, width - width // 3, height - height // 2)
    np.testing.assert_array_equal(found.read(box), whole[box.y :, box.x :])
    share = found.share_below(5.0, box)[..., 0]
    assert (share[found.read(box) >= 5.0] == 0).all()
    assert (share[found.read(box) <= 3.75] == 1).all()


@pytest.mark.parametrize(("acted", "expected"), [(1.0, 40.0), (0.0, 5.0), (0.5, 22.5)])
def test_a_finer_stage_tells_only_where_no_coarser_one_acted(acted: float, expected: float) -> None:
    coarse = filled(np.full((2, 3), 40.0 / (SIDE * 2 * DISPARITY_TO_RADIUS)), acted, 48, 32, 2)
    np.testing.assert_allclose(coarse.read(), 40.0, rtol=1e-6)
    fine = filled(np.full((4, 6), 5.0 / (SIDE * DISPARITY_TO_RADIUS)), 1.0, 48, 32, 1, coarse)
    np.testing.assert_allclose(fine.read(), expected, rtol=1e-6)


def test_tiles_that_overlap_tell_a_cell_once() -> None:
    coarse = filled(np.full((3, 20), 1.0), 0.5, 300, 40, 2)
    tiles = plan(300, 40, side=80, halo=16, overlap=16, multiple=SIDE).tiles
    assert len(tiles) > 2
    found = DefocusMap(300, 40, SIDE, 1, coarse)
    for tile in tiles:
        cells = np.full((1, 1, tile.source.height // SIDE, tile.source.width // SIDE), 0.2, np.float32)
        found.add(tile, cells, np.ones((tile.source.height, tile.source.width, 1), np.float32))
    np.testing.assert_allclose(found.read(), (0.5 * 16 + 0.5 * 0.2 * 8) * DISPARITY_TO_RADIUS, rtol=1e-5)
