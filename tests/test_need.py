"""Where a scale has something to do, block by block."""

from __future__ import annotations

import numpy as np
import pytest

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
def test_blocks_say_what_the_whole_says(finest: bool) -> None:
    photo = half_soft()
    need = Need(decode(photo).unit(), 800, 304, finest=finest)
    padded = np.pad(photo, ((0, 3), (0, 10), (0, 0)), mode="edge").astype(np.float32) / 255
    wanted = needs_scale(padded, finest=finest)
    np.testing.assert_allclose(need.read(Box(0, 0, 800, 304)), wanted[..., 0], atol=1e-4)
    rows, columns = need.cells.shape
    assert (rows, columns) == (10, 25)
    for row in range(rows):
        for column in range(columns):
            cell = wanted[CELL_PX * row : CELL_PX * (row + 1), CELL_PX * column : CELL_PX * (column + 1)]
            assert need.cells[row, column] == (cell.max() > NEGLIGIBLE) or abs(cell.max() - NEGLIGIBLE) < 1e-4
    assert not need.cells[:, :8].any()
    assert need.cells[:, 14:24].all()
    need.close()


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


def test_neighbours_of_twice_the_size_read_what_is_left_at_any_even_place() -> None:
    (half,) = chain(half_soft(), (2,))
    whole = half.left_for(Box(0, 0, 790, 301))
    assert whole is not None
    assert whole.shape == (301, 790)
    for box in (Box(0, 0, 1, 1), Box(256, 32, 33, 7), Box(788, 300, 2, 1)):
        part = half.left_for(box)
        assert part is not None
        np.testing.assert_array_equal(part, whole[box.y : box.y + box.height, box.x : box.x + box.width])


@pytest.mark.parametrize("size", [(1, 1), (7, 13)])
def test_tiny_photos_are_no_trouble(size: tuple[int, int]) -> None:
    need = Need(decode(np.zeros((*size, 3), np.uint8)).unit(), 16, 16, finest=True)
    assert need.read(Box(0, 0, 16, 16)).shape == (16, 16)
    assert need.cells.shape == (1, 1)
