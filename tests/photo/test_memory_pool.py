"""Memory of canvases: always zeros, never two users of one block, and no more of it than was in use at one time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from allfocus.photo import canvas
from allfocus.photo.canvas import Canvas
from allfocus.photo.memory_pool import LARGER, LEAST_BYTES, MemoryPool
from allfocus.photo.photo import fetch
from allfocus.photo.tiling import Box

SIZE = 4 * LEAST_BYTES


@pytest.fixture
def pool() -> MemoryPool:
    kept = MemoryPool()
    kept.keep()
    return kept


@pytest.fixture
def canvases(pool: MemoryPool, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryPool]:
    monkeypatch.setattr(canvas, "POOL", pool)
    yield pool


def place(array: np.ndarray) -> int:
    return array.ctypes.data


@pytest.mark.parametrize("size", [1, LEAST_BYTES - 1, LEAST_BYTES, SIZE + 1])
def test_zeros_of_any_size(pool: MemoryPool, size: int) -> None:
    for _ in range(2):
        array = pool.zeros(size)
        assert array.shape == (size,)
        assert array.dtype == np.uint8
        assert not array.any()
        array.fill(7)


def test_a_block_that_is_no_longer_used_is_given_out_again_as_zeros(pool: MemoryPool) -> None:
    array = pool.zeros(SIZE)
    first = place(array)
    array.fill(255)
    del array
    again = pool.zeros(SIZE - 1)
    assert place(again) == first
    assert not again.any()


def test_a_block_is_in_use_as_long_as_anything_made_of_it(pool: MemoryPool) -> None:
    array = pool.zeros(SIZE)
    first = place(array)
    view = array.view(np.uint16).reshape(-1, 2)[3:].data
    del array
    other = pool.zeros(SIZE)
    assert place(other) != first
    del view
    assert place(pool.zeros(SIZE)) == first


def test_a_much_larger_block_is_not_given_out(pool: MemoryPool) -> None:
    large = pool.zeros(3 * SIZE)
    first = place(large)
    del large
    assert place(pool.zeros(SIZE)) != first


def test_what_is_held_is_bounded_by_what_has_been_in_use_at_one_time(pool: MemoryPool) -> None:
    sizes = np.random.default_rng(0).integers(LEAST_BYTES, 8 * LEAST_BYTES, 200)
    used: list[np.ndarray] = []
    for size in map(int, sizes):
        while sum(map(len, used)) + size > 20 * LEAST_BYTES:
            used.pop(0)
        used.append(pool.zeros(size))
        assert pool._used >= sum(map(len, used))
        assert pool._used + sum(map(len, pool._free)) <= LARGER * pool._most
    used.clear()
    assert pool._used == 0
    assert sum(map(len, pool._free)) <= LARGER * pool._most


def test_nothing_is_kept_unless_asked_for() -> None:
    pool = MemoryPool()
    pool.zeros(SIZE)
    assert pool._free == []


def test_threads_never_share_a_block(pool: MemoryPool) -> None:
    def work(number: int) -> bool:
        array = pool.zeros(SIZE)
        clean = not array.any()
        array.fill(number % 255 + 1)
        return clean and bool((array == number % 255 + 1).all())

    with ThreadPoolExecutor(4) as workers:
        assert all(workers.map(work, range(100)))


def test_a_picture_of_a_closed_canvas_keeps_its_pixels(canvases: MemoryPool) -> None:
    box = Box(0, 0, 800, 700)
    first = Canvas(box.width, box.height, 1, "uint8")
    first.write(box, np.full((700, 800, 1), 9, np.uint8))
    image = first.image()
    first.close()
    later = Canvas(box.width, box.height, 1, "uint8")
    later.write(box, np.full((700, 800, 1), 5, np.uint8))
    assert (fetch(image, box) == 9).all()
    del image
    assert len(canvases._free) == 1
    assert not Canvas(box.width, box.height, 1, "uint8").read(box).any()
