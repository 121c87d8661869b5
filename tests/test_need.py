"""Where a scale has something to do, on a grid of every fourth pixel."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.need import CELL_PX, NEGLIGIBLE, Need
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.scales import needs_scale
from blurred import blurred_texture


def half_soft() -> np.ndarray:
    """A block and a half of soft texture beside noise, which is in focus: uint8, no multiple of anything."""
    photo = np.random.default_rng(0).integers(0, 256, (301, 790, 3), dtype=np.uint8)
    photo[:, 350:] = blurred_texture(4)[:301, :440]
    return photo


@pytest.mark.parametrize("finest", [True, False])
def test_the_grid_says_what_every_pixel_says(finest: bool) -> None:
    """`needs_scale` is the slow and obvious measure."""
    photo = half_soft()
    need = Need(decode(photo).unit(), 800, 304, finest=finest)
    padded = np.pad(photo, ((0, 3), (0, 10), (0, 0)), mode="edge").astype(np.float32) / 255
    found, wanted = need.read(Box(0, 0, 800, 304)), needs_scale(padded, finest=finest)[..., 0]
    inside = np.s_[24:-24, 24:-40]  # at the borders the measure sees repeated edges
    difference = np.abs(found - wanted)[inside]
    assert difference.max() < 0.1
    assert difference.mean() < 0.002
    rows, columns = need.cells.shape
    assert (rows, columns) == (10, 25)
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            cell = wanted[CELL_PX * row : CELL_PX * (row + 1), CELL_PX * column : CELL_PX * (column + 1)]
            assert need.cells[row, column] == (cell.max() > NEGLIGIBLE) or abs(cell.max() - NEGLIGIBLE) < 0.02
    assert not need.cells[:, :8].any()
    assert need.cells[:, 14:24].all()
    need.close()


@given(st.integers(0, 780), st.integers(0, 290), st.integers(1, 300), st.integers(1, 120))
@settings(max_examples=30, deadline=None)
def test_any_box_reads_what_the_whole_says(x: int, y: int, width: int, height: int) -> None:
    need = soft_need()
    box = Box(x, y, min(width, 800 - x), min(height, 304 - y))
    whole = need.read(Box(0, 0, 800, 304))
    assert whole.min() >= 0
    assert whole.max() <= 1 + 1e-6
    np.testing.assert_allclose(need.read(box), whole[box.y : box.y + box.height, box.x : box.x + box.width], atol=1e-6)


@cache
def soft_need() -> Need:
    return Need(decode(half_soft()).unit(), 800, 304, finest=True)


def chain(photo: np.ndarray, scales: tuple[int, ...]) -> list[Need]:
    needs: list[Need] = []
    for scale in scales:
        reader = decode(photo).unit(scale)
        size = (side + -side % 16 for side in (reader.width, reader.height))
        before = needs[-1] if needs else None
        needs.append(Need(reader, *size, finest=scale == 1, coarser=before, rest=scale > 1))
    return needs


def test_what_is_too_blurred_is_left_to_the_coarser_scales() -> None:
    """Noise, then a texture that is soft at full size only, then one that is blurred at a quarter too."""
    photo = np.random.default_rng(0).integers(0, 256, (300, 900, 3), dtype=np.uint8)
    photo[:, 300:600], photo[:, 600:] = blurred_texture(2)[:300, :300], blurred_texture(24)[:300, :300]
    alone, (quarter, half, full) = chain(photo, (1,))[0], chain(photo, (4, 2, 1))
    cells = slice(11, 17), slice(23, 27)
    assert alone.cells[1:-1, cells[0]].all()
    assert full.cells[1:-1, cells[0]].mean() > 0.9
    assert alone.cells[1:-1, cells[1]].all()
    assert not full.cells[:, cells[1]].any()  # nor at the borders, where repeated edges look sharp
    assert (full.cells <= alone.cells).all()
    assert quarter.cells[1:-1, 5:].any()  # they have work there
    assert half.cells[1:-1, 10:13].all()
    whole = Box(0, 0, 900, 300)
    assert (full.read(whole) <= alone.read(whole) + 1e-4).all()


def test_a_coarser_scale_itself_is_not_held_back() -> None:
    photo = blurred_texture(24)
    alone, (_, half) = chain(photo, (2,))[0], chain(photo, (4, 2))
    np.testing.assert_array_equal(half.cells, alone.cells)


def test_soft_texture_amid_what_is_in_focus_is_left_alone_after_a_coarser_scale() -> None:
    """Noise is in focus; on it lie a small soft patch and a large one."""
    photo = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    soft = blurred_texture(2.5)
    photo[96:144, 96:144], photo[320:640, 480:800] = soft[:48, :48], soft[:320, :320]
    alone, (_, full) = chain(photo, (1,))[0], chain(photo, (2, 1))
    small, large = np.s_[3:5, 3:5], np.s_[11:19, 16:24]
    assert alone.cells[small].any()
    assert alone.cells[large].all()
    assert not full.cells[small].any()
    assert full.cells[large].mean() > 0.9


def test_what_is_left_is_read_at_any_box_of_the_grid() -> None:
    (half,) = chain(half_soft(), (2,))
    whole = half.left_for(Box(0, 0, 198, 76))
    assert whole is not None
    assert whole.shape == (76, 198)
    for box in (Box(0, 0, 1, 1), Box(65, 7, 33, 7), Box(197, 75, 1, 1)):
        part = half.left_for(box)
        assert part is not None
        np.testing.assert_array_equal(part, whole[box.y : box.y + box.height, box.x : box.x + box.width])


@pytest.mark.parametrize("size", [(1, 1), (7, 13)])
def test_tiny_photos_are_no_trouble(size: tuple[int, int]) -> None:
    need = Need(decode(np.zeros((*size, 3), np.uint8)).unit(), 16, 16, finest=True)
    assert need.read(Box(0, 0, 16, 16)).shape == (16, 16)
    assert need.cells.shape == (1, 1)
