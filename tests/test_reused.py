"""Memory that is used again."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.photo.canvas import Canvas
from allfocus.photo.tiling import Box
from allfocus.reused import LEAST_BYTES, LOOSE, REUSED, Reused

MB = LEAST_BYTES


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_nothing_is_kept_at_first() -> None:
    memory = Reused()
    assert memory.zeros(4 * MB) is None
    assert memory.empty((3, 2, 5)).shape == (3, 2, 5)


def test_a_block_is_lent_again_once_its_last_view_is_gone() -> None:
    memory = Reused()
    memory.keep(64 * MB)
    first = memory.empty((4, MB))
    first[:] = 7
    place, view = address(first), first[1:, ::2]
    del first
    other = memory.empty((4, MB))
    assert address(other) != place  # the view still stands on it
    assert (view == 7).all()
    del view
    again = memory.zeros(12 * MB)
    assert again is not None
    assert address(again) == place
    assert not again.any()
    del again
    small = memory.zeros(16 * MB // LOOSE - 1)
    assert small is not None
    assert address(small) != place  # far too large a block for it


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=25))
@settings(max_examples=40, deadline=None)
def test_arrays_in_use_never_share_memory(steps: list[tuple[int, bool]]) -> None:
    memory, lent = Reused(), []
    memory.keep(8 * MB)
    for number, (size, drop) in enumerate(steps):
        array = memory.zeros(size * MB)
        assert array is not None
        assert not array.any()
        array.fill(number + 1)
        lent.append((number + 1, array))
        del array
        if drop:
            del lent[0]
        assert all((one[:: MB // 4] == value).all() for value, one in lent)
    lent.clear()
    memory.keep(0)
    assert not memory._free


def test_no_more_is_kept_than_asked_for() -> None:
    memory = Reused()
    memory.keep(5 * MB)
    arrays = [memory.zeros(2 * MB) for _ in range(6)]
    arrays.clear()
    kept = memory.zeros(8 * MB)  # fits none of them
    assert kept is not None
    assert sum(block.size for block in memory._free) <= 5 * MB


def test_a_canvas_starts_as_zeros_on_used_memory_and_its_image_outlives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REUSED, "_room", 64 * MB)
    for value in (9, 0):
        canvas = Canvas(1024, 700, 3, np.uint8)
        assert not canvas.read(Box(0, 0, 1024, 700)).any()
        canvas.write(Box(0, 0, 1024, 700), np.full((700, 1024, 3), value, np.uint8))
        image = canvas.image()
        canvas.close()
        other = Canvas(1024, 700, 3, np.uint8)
        other.write(Box(0, 0, 1, 1), np.ones((1, 1, 3), np.uint8))
        assert image.min() == image.max() == value
        del image, other
        gc.collect()
    REUSED.keep(0)
