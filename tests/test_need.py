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


@pytest.mark.parametrize("size", [(1, 1), (7, 13)])
def test_tiny_photos_are_no_trouble(size: tuple[int, int]) -> None:
    need = Need(decode(np.zeros((*size, 3), np.uint8)).unit(), 16, 16, finest=True)
    assert need.read(Box(0, 0, 16, 16)).shape == (16, 16)
    assert need.cells.shape == (1, 1)
