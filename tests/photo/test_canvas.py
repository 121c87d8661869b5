from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.errors import OutputError
from allfocus.photo import canvas as module
from allfocus.photo.canvas import Canvas
from allfocus.photo.photo import fetch
from allfocus.photo.tiling import Box

WHERE = pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest):
    def make(width: int, height: int, bands: int, dtype: str, on_disk: bool) -> Canvas:
        monkeypatch.setattr(module, "MEMORY_LIMIT", 0 if on_disk else 2**26)
        canvas = Canvas(width, height, bands, dtype, folder=tmp_path)
        request.addfinalizer(canvas.close)
        return canvas

    return make


@WHERE
@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 13), (1, 50), (50, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 3])
def test_boxes_come_back_as_written(make, on_disk: bool, width: int, height: int, dtype: str, bands: int) -> None:
    canvas = make(width, height, bands, dtype, on_disk)
    whole = np.random.default_rng(0).integers(0, 255, (height, width, bands)).astype(dtype)
    middle = width // 2, height // 2
    for x, right in ((0, middle[0]), (middle[0], width)):
        for y, bottom in ((0, middle[1]), (middle[1], height)):
            if right > x and bottom > y:
                canvas.write(Box(x, y, right - x, bottom - y), whole[y:bottom, x:right])
    assert np.array_equal(canvas.read(Box(0, 0, width, height)), whole)
    assert np.array_equal(canvas.read(Box(middle[0], middle[1], 1, 1)), whole[middle[1], middle[0]][None, None])
    assert np.array_equal(fetch(canvas.image(), Box(0, 0, width, height)), whole)


@WHERE
def test_a_new_canvas_is_zero_and_reads_are_copies(make, on_disk: bool) -> None:
    canvas = make(5, 4, 1, "uint8", on_disk)
    box = Box(1, 1, 2, 2)
    canvas.read(box)[:] = 9
    assert canvas.read(box).sum() == 0


@WHERE
def test_the_image_outlives_the_canvas_and_nothing_stays_on_disk(make, on_disk: bool, tmp_path: Path) -> None:
    canvas = make(6, 5, 3, "uint8", on_disk)
    canvas.write(Box(0, 0, 6, 5), np.full((5, 6, 3), 7, np.uint8))
    image = canvas.image()
    canvas.close()
    assert image.numpy().min() == image.numpy().max() == 7
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        canvas.read(Box(0, 0, 1, 1))


def test_two_canvases_on_one_file_number_are_not_mixed_up(make) -> None:
    pictures = []
    for value in (1, 2):
        canvas = make(6, 5, 1, "uint8", True)
        canvas.write(Box(0, 0, 6, 5), np.full((5, 6, 1), value, np.uint8))
        pictures.append(canvas.image())
        canvas.close()
    assert [int(picture.avg()) for picture in pictures] == [1, 2]


@WHERE
@pytest.mark.parametrize("box", [Box(-1, 0, 2, 2), Box(0, 0, 7, 1), Box(5, 4, 2, 2)])
def test_a_box_outside_is_refused(make, on_disk: bool, box: Box) -> None:
    canvas = make(6, 5, 1, "uint8", on_disk)
    with pytest.raises(ValueError, match="outside"):
        canvas.read(box)
    with pytest.raises(ValueError, match="outside"):
        canvas.write(box, np.zeros((box.height, box.width, 1), np.uint8))


@WHERE
def test_an_array_that_does_not_fill_the_box_is_refused(make, on_disk: bool) -> None:
    canvas = make(6, 5, 1, "uint8", on_disk)
    for array in (np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 1), np.uint16)):
        with pytest.raises(ValueError, match="does not fill"):
            canvas.write(Box(0, 0, 2, 2), array)


@pytest.mark.parametrize(("size", "dtype"), [((0, 5, 1), "uint8"), ((5, 5, 0), "uint8"), ((5, 5, 1), "int32")])
def test_a_canvas_that_cannot_be_is_refused(size: tuple[int, int, int], dtype: str) -> None:
    with pytest.raises(ValueError, match="no canvas"):
        Canvas(*size, dtype)


def test_a_full_disk_says_so(make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    canvas = make(50, 40, 1, "uint8", True)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match=r"scratch file in .* \(No space left on device\); expected .* free") as error:
        canvas.write(Box(0, 0, 50, 40), np.zeros((40, 50, 1), np.uint8))
    assert "TMPDIR" in error.value.hint


def test_a_missing_scratch_folder_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "MEMORY_LIMIT", 0)
    with pytest.raises(OutputError, match="scratch file"):
        Canvas(5, 5, 1, "uint8", folder=tmp_path / "missing")


def test_many_threads_write_one_canvas(make) -> None:
    canvas = make(64, 64, 3, "uint16", True)
    boxes = [Box(x, y, 16, 8) for y in range(0, 64, 8) for x in range(0, 64, 16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda box: canvas.write(box, np.full((8, 16, 3), box.x * 100 + box.y, np.uint16)), boxes))
    for box in boxes:
        assert (canvas.read(box) == box.x * 100 + box.y).all()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_memory_and_disk_agree(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    kept, module.MEMORY_LIMIT = module.MEMORY_LIMIT, 0
    try:
        disk = Canvas(width, height, 2, "uint8")
    finally:
        module.MEMORY_LIMIT = kept
    with disk, Canvas(width, height, 2, "uint8") as memory:
        for value in range(data.draw(st.integers(1, 4))):
            x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
            box = Box(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
            for canvas in (disk, memory):
                canvas.write(box, np.full((box.height, box.width, 2), value + 1, np.uint8))
        whole = Box(0, 0, width, height)
        assert np.array_equal(disk.read(whole), memory.read(whole))
