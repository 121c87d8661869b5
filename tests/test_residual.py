"""Residuals in fixed point and their view at finer scales."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from allfocus.photo.tiling import Box
from allfocus.residual import BLOCK_COLUMNS, BLOCK_ROWS, CELL_PX, ONE, Residual, blocks


def filled(values: np.ndarray) -> Residual:
    """Of (3, h, w) values."""
    _, height, width = values.shape
    residual = Residual(width, height)
    residual.add(Box(0, 0, width, height), values.astype(np.float32))
    return residual


def test_starts_as_exact_zero_and_adds_up() -> None:
    residual = Residual(5, 3)
    assert not residual.read(Box(0, 0, 5, 3)).any()
    part = np.full((3, 2, 2), 0.25, np.float32)
    residual.add(Box(1, 1, 2, 2), part)
    residual.add(Box(1, 1, 2, 2), -part)
    assert not residual.read(Box(0, 0, 5, 3)).any()


def test_sums_are_clipped_not_wrapped() -> None:
    residual = filled(np.full((3, 2, 2), 0.9))
    residual.add(Box(0, 0, 2, 2), np.full((3, 2, 2), 0.9, np.float32))
    assert residual.read(Box(0, 0, 2, 2)).max() == 1


@given(
    arrays(np.float32, (2, 3, 5, 7), elements=st.floats(-0.75, 0.75, width=32)),
    arrays(np.float32, (5, 7), elements=st.floats(0, 1, width=32)),
)
@settings(max_examples=30, deadline=None)
def test_what_is_added_is_weighted_and_rounded_to_the_nearest_step(values: np.ndarray, weights: np.ndarray) -> None:
    box = Box(1, 2, 7, 5)
    residual = Residual(9, 8)
    residual.add(box, values[0])
    residual.add(box, values[1], weights)
    wanted = np.clip(values[0].astype(np.float64) + values[1].astype(np.float64) * weights, -1, 1)
    assert np.abs(residual.read(box) - wanted).max() <= 1.01 / ONE


@given(st.lists(st.tuples(*(st.integers(1, 1000) for _ in range(4))), min_size=2, max_size=6), st.randoms())
@settings(max_examples=40, deadline=None)
def test_boxes_that_overlap_add_up_in_any_order(corners: list[tuple[int, ...]], chance: random.Random) -> None:
    width, height = 101, 3 * CELL_PX + 5
    wanted, added = np.zeros((3, height, width)), []
    for number, (left, right, top, bottom) in enumerate(corners):
        (x, end), (y, last) = sorted((left % width, right % width)), sorted((top % height, bottom % height))
        box = Box(x, y, end - x + 1, last - y + 1)
        steps = np.random.default_rng(number).integers(-900, 900, (3, box.height, box.width))
        added.append((box, steps))
        wanted[:, y : y + box.height, x : x + box.width] += steps
    chance.shuffle(added)
    residual = Residual(width, height)
    for box, steps in added:
        residual.add(box, (steps / ONE).astype(np.float32))
    np.testing.assert_array_equal(np.rint(residual.read(Box(0, 0, width, height)) * ONE), wanted)


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarging_keeps_a_ramp_a_ramp(factor: int) -> None:
    ramp = np.repeat(np.repeat((np.arange(16) * 0.05 - 0.4)[None, None], 8, 1), 3, 0)
    fine = filled(ramp).enlarged(Box(0, 0, 16 * factor, 8 * factor), factor)
    positions = (np.arange(16 * factor) + 0.5) / factor - 0.5
    inside = slice(4 * factor, 12 * factor)  # away from the repeated edges
    np.testing.assert_allclose(fine[0, 3, inside], positions[inside] * 0.05 - 0.4, atol=1e-4)


@pytest.mark.parametrize("box", [Box(0, 0, 6, 6), Box(5, 3, 9, 7), Box(-4, -2, 12, 8), Box(20, 14, 12, 8)])
def test_enlarging_a_box_equals_enlarging_everything(box: Box) -> None:
    rng = np.random.default_rng(0)
    residual = filled(rng.uniform(-0.5, 0.5, (3, 9, 13)))
    whole = residual.enlarged(Box(-8, -8, 48, 40), 2)
    part = whole[:, box.y + 8 : box.y + 8 + box.height, box.x + 8 : box.x + 8 + box.width]
    np.testing.assert_array_equal(residual.enlarged(box, 2), part)


def enlarged_slowly(values: np.ndarray) -> np.ndarray:
    """Twice the size of (3, h, w), edges repeated: Catmull-Rom's spline at a quarter of a pixel from its points."""
    for axis in (1, 2):
        fine = np.empty([side * (1 + (at == axis)) for at, side in enumerate(values.shape)])
        for place in range(fine.shape[axis]):
            point = (place + 0.5) / 2 - 0.5
            first = int(np.floor(point))
            t = point - first
            weights = (
                (-(t**3) + 2 * t**2 - t) / 2,
                (3 * t**3 - 5 * t**2 + 2) / 2,
                (-3 * t**3 + 4 * t**2 + t) / 2,
                (t**3 - t**2) / 2,
            )
            points = np.clip(np.arange(first - 1, first + 3), 0, values.shape[axis] - 1)
            fine[(slice(None),) * axis + (place,)] = np.moveaxis(values, axis, -1)[..., points] @ np.array(weights)
        values = fine
    return values


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (BLOCK_ROWS // 2 + 3, BLOCK_COLUMNS // 2 + 5)])
def test_enlarging_is_catmull_rom_over_the_seams_of_blocks_too(size: tuple[int, int]) -> None:
    values = np.random.default_rng(3).uniform(-0.5, 0.5, (3, *size))
    found = filled(values).enlarged(Box(0, 0, 2 * size[1], 2 * size[0]), 2)
    np.testing.assert_allclose(found, enlarged_slowly(values), atol=3e-5)  # a step of the fixed point is as large


def test_nothing_is_told_apart_from_what_was_added() -> None:
    quarter = Residual(100, 70)
    quarter.add(Box(60, 40, 3, 2), np.full((3, 2, 3), 0.2, np.float32))
    quarter.add(Box(10, 10, 4, 4), np.zeros((3, 4, 4), np.float32))
    half = Residual(200, 140, quarter)
    half.add(Box(8, 100, 5, 6), np.full((3, 6, 5), -0.1, np.float32))
    assert quarter.block(Box(0, 0, 30, 30)) is None
    assert half.block(Box(0, 0, 60, 60)) is None
    for box in (Box(110, 70, 30, 30), Box(0, 90, 20, 20)):
        found = half.block(box)
        assert found is not None
        assert found.any()
        np.testing.assert_array_equal(half.enlarged(box, 1), found)
    assert half.enlarged(Box(0, 0, 400, 280), 2).any(axis=0).mean() < 0.02  # exact zeros beside what was added


def test_blocks_cover_a_box_once() -> None:
    box = Box(-3, 5, 2 * BLOCK_COLUMNS + 1, BLOCK_ROWS + 1)
    seen = np.zeros((box.height, box.width), int)
    for block in blocks(box):
        assert block.width <= BLOCK_COLUMNS
        assert block.height <= BLOCK_ROWS
        y, x = block.y - box.y, block.x - box.x
        seen[y : y + block.height, x : x + block.width] += 1
    assert (seen == 1).all()


def test_the_same_in_memory_and_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).uniform(-0.5, 0.5, (3, 40, 50))
    box = Box(-5, 3, 60, 80)
    in_memory = filled(values).enlarged(box, 2)
    monkeypatch.setattr("allfocus.residual.MEMORY_LIMIT", 0)
    np.testing.assert_array_equal(filled(values).enlarged(box, 2), in_memory)


@pytest.mark.parametrize("size", [(9, 13), (8, 12), (1, 1)])
def test_a_finer_stage_stands_on_the_coarser_ones(size: tuple[int, int]) -> None:
    height, width = size
    rng = np.random.default_rng(1)
    sides = [(-(-height // factor), -(-width // factor)) for factor in (4, 2)]
    quarter = filled(rng.uniform(-0.2, 0.2, (3, *sides[0])))
    half = Residual(sides[1][1], sides[1][0], quarter)
    own = rng.uniform(-0.2, 0.2, (3, *sides[1])).astype(np.float32)
    half.add(Box(0, 0, sides[1][1], sides[1][0]), own)
    fine = Residual(width, height, half)
    everything = Box(0, 0, width, height)
    np.testing.assert_array_equal(fine.read(everything), half.enlarged(everything, 2))
    wanted = filled(own + quarter.enlarged(Box(0, 0, sides[1][1], sides[1][0]), 2)).enlarged(everything, 2)
    np.testing.assert_allclose(fine.read(everything), wanted, atol=1e-4)
    fine.close()
    with pytest.raises(ValueError, match="closed"):
        quarter.read(Box(0, 0, 1, 1))
