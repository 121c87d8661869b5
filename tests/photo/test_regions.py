"""Tiles where only some cells are wanted: all of them covered once, context kept, few pixels and few sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.photo.regions import NEW_SIZE_PX, Cutter, Part, cost_px, seen_px
from allfocus.photo.tiling import plan

CELL, HALO, MULTIPLE = 32, 48, 16


def cutter(width: int, height: int, side: int = 512) -> Cutter:
    return Cutter(width, height, CELL, side=side, halo=HALO, overlap=32, multiple=MULTIPLE)


def empty(width: int, height: int) -> np.ndarray:
    return np.zeros((-(-height // CELL), -(-width // CELL)), bool)


def sizes(parts: list[Part]) -> set[tuple[int, int]]:
    return {(part.source.width, part.source.height) for part in parts}


@given(
    st.integers(1, 900), st.integers(1, 900), st.sampled_from([240, 320, 512, 1024]), st.floats(0, 1),
    st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_parts_hold_all_that_is_wanted_with_its_weights_and_context(
    width: int, height: int, side: int, share: float, seed: int
) -> None:
    wanted = np.random.default_rng(seed).random(empty(width, height).shape) < share**3
    parts = cutter(width, height, side).parts(wanted)
    total = np.zeros((height, width), np.float32)
    for part in parts:
        source, target = part.source, part.target
        assert source.x % 16 == source.y % 16 == source.width % 16 == source.height % 16 == 0
        assert source.width * source.height <= side**2
        for axis, length in (("x", "width"), ("y", "height")):
            start, end = getattr(source, axis), getattr(source, axis) + getattr(source, length)
            begin, stop = getattr(target, axis), getattr(target, axis) + getattr(target, length)
            last = {"x": width, "y": height}[axis]
            assert 0 <= start <= begin < stop <= end
            assert stop <= last
            assert end <= last + -last % MULTIPLE
            assert start == 0 or begin - start >= HALO
            assert end >= last or end - stop >= HALO
        part_of = total[target.y : target.y + target.height, target.x : target.x + target.width]
        part_of += np.multiply.outer(*part.ramps())
    pixels = wanted.repeat(CELL, 0).repeat(CELL, 1)[:height, :width]
    np.testing.assert_allclose(total[pixels], 1, atol=1e-6)
    if not wanted.any():
        assert parts == []


@given(st.integers(200, 3000), st.integers(200, 3000), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_parts_cost_no_more_than_tiles_of_the_rectangle_around_them(
    width: int, height: int, share: float, seed: int
) -> None:
    wanted = empty(width, height)
    rows, columns = wanted.shape
    rng = np.random.default_rng(seed)
    for _ in range(3):
        y, x = int(rng.integers(rows)), int(rng.integers(columns))
        wanted[y : y + 1 + int(share * rows / 2), x : x + 1 + int(share * columns / 2)] = True
    parts = cutter(width, height).parts(wanted)
    whole = plan(width, height, side=512, halo=HALO, overlap=32, multiple=MULTIPLE)
    found = [np.flatnonzero(wanted.any(axis=axis)) for axis in (1, 0)]
    if all(lines[0] == 0 and lines[-1] == size - 1 for lines, size in zip(found, wanted.shape, strict=True)):
        assert cost_px(parts) <= cost_px(whole.tiles)
    assert parts == cutter(width, height).parts(wanted.copy())


def test_everything_wanted_is_the_plan_of_the_photo() -> None:
    parts = cutter(1500, 1000).parts(~empty(1500, 1000))
    planned = plan(1500, 1000, side=512, halo=HALO, overlap=32, multiple=MULTIPLE)
    assert [part.target for part in parts] == [tile.target for tile in planned.tiles]
    assert seen_px(parts) <= seen_px(planned.tiles)
    assert len(sizes(parts)) == 1


def test_what_lies_far_apart_is_planned_for_apart() -> None:
    wanted = empty(4000, 3000)
    wanted[2:20, 3:20] = wanted[70:88, 100:117] = True
    parts = cutter(4000, 3000, 1024).parts(wanted)
    assert seen_px(parts) < 1_200_000  # one rectangle around both would be 8 megapixels
    assert len(sizes(parts)) == 1


def test_a_part_takes_the_size_of_another_where_that_is_cheaper() -> None:
    wanted = empty(4000, 3000)
    wanted[2:20, 3:20] = wanted[70:86, 100:116] = True  # 672x640 and 608x608 px with their context
    parts = cutter(4000, 3000, 1024).parts(wanted)
    assert len(parts) == 2
    assert len(sizes(parts)) == 1
    small = empty(4000, 3000)
    small[2:22, 3:23] = small[70, 100] = True  # 736x736 px is half a megapixel, more than a new size of 128x128 costs
    assert len(sizes(cutter(4000, 3000, 1024).parts(small))) == 2
    assert NEW_SIZE_PX < 736**2 - 128**2


def test_what_is_close_together_stays_together() -> None:
    wanted = empty(600, 600)
    wanted[4, 4] = wanted[4, 8] = wanted[9, 6] = True
    assert len(cutter(600, 600).parts(wanted)) == 1


def test_many_scattered_cells_are_planned_for_in_time() -> None:
    wanted = empty(12000, 8000)
    wanted[np.random.default_rng(0).random(wanted.shape) < 0.002] = True
    parts = cutter(12000, 8000, 1024).parts(wanted)
    assert 0 < cost_px(parts) < cost_px(plan(12000, 8000, side=1024, halo=HALO, overlap=32, multiple=MULTIPLE).tiles)


@pytest.mark.parametrize("size", [(1, 1), (7, 13)])
def test_tiny_photos_are_one_part(size: tuple[int, int]) -> None:
    (part,) = cutter(*size).parts(~empty(*size))
    assert (part.target.width, part.target.height) == size
    assert (part.source.width, part.source.height) == (16, 16)
