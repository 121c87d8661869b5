"""The compiled loops against numpy, value for value."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus import compiled
from allfocus.defocus.measure import BLOCK_PX, REACH_PX, sampled_energies
from allfocus.need import Need
from allfocus.photo.codecs import decode
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box
from allfocus.residual import Residual
from allfocus.restore import Settings, _change, finish, restore
from blurred import blurred_texture
from engines import LocalEngine, card

DEPTHS = (np.uint8, np.uint16)


def compiler_is_whole() -> bool:
    """Whether there is a C compiler, with the headers of its library."""
    command = ["cc", "-fsyntax-only", "-x", "c", "-"]
    source = "#include <stddef.h>\n#include <stdint.h>\n"
    return (
        shutil.which("cc") is not None and subprocess.run(command, input=source.encode(), check=False).returncode == 0
    )


pytestmark = pytest.mark.skipif(not compiler_is_whole(), reason="no C compiler")


@contextmanager
def numpy_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "AVAILABLE", False)
        yield


def both(job: Callable[[], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What compiled loops and numpy find."""
    with numpy_only():
        wanted = job()
    return job(), wanted


def noise(seed: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def test_the_installed_loops_are_those_of_the_source() -> None:
    assert compiled.AVAILABLE, "compiled.c was changed after it was compiled: run `pip install -e .` again"


def test_loops_of_another_source_are_not_used(tmp_path: Path) -> None:
    package = Path(compiled.__file__).parent
    for path in package.glob("*compiled.*"):
        shutil.copy(path, tmp_path)
    assert compiled.loaded(tmp_path) is not None
    with (tmp_path / "compiled.c").open("a") as source:
        source.write("\n")
    assert compiled.loaded(tmp_path) is None
    next(tmp_path.glob("_compiled.*")).unlink()
    assert compiled.loaded(tmp_path) is None


@given(
    st.integers(0, 99), st.sampled_from(DEPTHS), st.sampled_from([1, 3]), st.sampled_from([1, 2, 4]),
    st.integers(1, 70), st.integers(1, 70), st.integers(-9, 40), st.integers(-9, 40), st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_reading(
    seed: int, dtype: type, bands: int, shrink: int, height: int, width: int, y: int, x: int, in_memory: bool
) -> None:
    photo = decode(noise(seed, (height, width, bands), dtype))
    if not in_memory:
        photo = Photo(photo.image, None, photo.depth, "array")
    reader, box = photo.unit(shrink), Box(x, y, 33, 21)
    for look in (reader.planes, reader.grey):
        found, wanted = both(lambda look=look: look(box))
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("height, width", [(2, 2), (2, 14), (38, 6), (BLOCK_PX[0], BLOCK_PX[1] + 2)])
def test_gradients(height: int, width: int) -> None:
    grey = np.random.default_rng(0).random((height + 2 * REACH_PX + 3, width + 2 * REACH_PX + 3), np.float32)
    part = grey[1 : 1 + height + 2 * REACH_PX, 2 : 2 + width + 2 * REACH_PX]  # rows with a gap between them
    for index in range(2):
        found, wanted = both(lambda index=index: sampled_energies(part)[index])
        np.testing.assert_array_equal(found, wanted)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 44), st.integers(1, 44), st.booleans())
@settings(max_examples=90, deadline=None)
def test_the_need_of_any_box(y: int, x: int, height: int, width: int, weighted: bool) -> None:
    box = Box(x, y, width, height)
    ramps = np.linspace(0, 1, height, dtype=np.float32), np.linspace(1, 0.3, width, dtype=np.float32)
    found, wanted = both(lambda: NEED.read(box, ramps if weighted else None))
    np.testing.assert_array_equal(found, wanted)
    assert found.shape == (height, width)
    if weighted:
        np.testing.assert_array_equal(found, NEED.read(box) * (ramps[0][:, None] * ramps[1]))


SOFT_AND_SHARP = noise(1, (101, 103, 3), np.uint8)
SOFT_AND_SHARP[:, 50:] = blurred_texture(4)[:101, :53]
NEED = Need(decode(SOFT_AND_SHARP).unit(), 104, 104, finest=True)


def test_the_need_of_a_photo_too_large_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allfocus.photo.canvas.MEMORY_LIMIT", 0)
    need, ramps = Need(decode(SOFT_AND_SHARP).unit(), 104, 104, finest=True), (np.full(31, 0.3, np.float32),) * 2
    assert need._grid.view(Box(0, 0, 1, 1)) is None
    for given_ramps in (None, ramps):
        np.testing.assert_array_equal(
            need.read(Box(9, 2, 31, 31), given_ramps), NEED.read(Box(9, 2, 31, 31), given_ramps)
        )


@given(st.integers(0, 99), st.sampled_from([0.0, 1e-5, 0.1, 0.9, 5.0]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_adding_to_a_residual(seed: int, size: float, weighted: bool) -> None:
    """Values of which most are too small to count, and such as are clipped."""

    def added() -> np.ndarray:
        chance = np.random.default_rng(seed)
        residual = Residual(101, 71)
        for _ in range(3):
            x, y, width, height = (int(chance.integers(*ends)) for ends in ((0, 60), (0, 40), (1, 41), (1, 31)))
            values = (chance.standard_normal((3, height, 2 * width)) * size).astype(np.float32)[..., :width]
            weights = chance.random((height, width), np.float32) if weighted else None
            residual.add(Box(x, y, width, height), values, weights)
        return np.concatenate([residual.read(Box(0, 0, 101, 71)).ravel(), residual._filled.ravel()])

    np.testing.assert_array_equal(*both(added))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (0, 2, 1)])
def test_values_that_do_not_lie_row_by_row(order: tuple[int, int, int]) -> None:
    """Such as channels last, which torch may return."""
    box = Box(1, 2, 7, 5)
    values = np.random.default_rng(0).normal(0, 0.2, (3, 5, 7)).astype(np.float32)
    weights = np.random.default_rng(1).random((5, 7), np.float32)
    laid = values.transpose(order).copy().transpose(np.argsort(order))

    def added() -> np.ndarray:
        residual = Residual(9, 8)
        residual.add(box, laid, weights.T.copy().T)
        return residual.read(Box(0, 0, 9, 8))

    found, wanted = both(added)
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(found[:, 2:7, 1:8] - values * weights).max() < 1e-4
    pixels = np.full((5, 7, 3), 100, np.uint8)
    assert _change(pixels, (laid * 255).transpose(order).copy().transpose(np.argsort(order)), 255.0) > 0
    assert np.abs(pixels - np.clip(100 + values.transpose(1, 2, 0) * 255, 0, 255)).max() <= 0.51


@given(st.integers(0, 99), st.sampled_from(DEPTHS), st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_changing_pixels(seed: int, dtype: type, bands: int, height: int, width: int) -> None:
    peak = float(np.iinfo(dtype).max)
    chance = np.random.default_rng(seed)
    # halves, which are rounded to even, and more than the peak
    change = np.round(chance.normal(0, 0.3, (bands, height, width)) * peak * 2).astype(np.float32) / 2
    change[:, ::2] = 0

    def changed() -> np.ndarray:
        pixels = noise(seed, (height, width + 3, bands), dtype)
        differ = _change(pixels[:, 1 : 1 + width], change.copy(), peak)
        return np.append(pixels.ravel().astype(np.int64), differ)

    np.testing.assert_array_equal(*both(changed))


@given(st.integers(0, 99), st.sampled_from(DEPTHS), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1.4))
@settings(max_examples=80, deadline=None)
def test_changing_pixels_by_steps(seed: int, dtype: type, height: int, width: int, strength: float) -> None:
    """As the same steps as values do."""
    peak, one = float(np.iinfo(dtype).max), 32767
    steps = np.random.default_rng(seed).integers(-one, one + 1, (3, height, width + 2), dtype=np.int16)[..., 2:]
    steps[:, ::2] = 0
    factor = np.float32(strength * peak)
    wanted, found = (noise(seed, (height, width + 3, 3), dtype) for _ in range(2))
    with numpy_only():
        differ = _change(wanted[:, 1 : 1 + width], steps * np.float32(1 / one) * factor, peak)
    assert compiled.change_by_steps(steps, 1 / one, float(factor), found[:, 1 : 1 + width], peak) == differ
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("scale", [1, 2])
def test_a_whole_photo(dtype: type, scale: int) -> None:
    array = np.clip(blurred_texture(5)[:301, :333].astype(np.int64) * (np.iinfo(dtype).max // 255), 0, None)

    def restored() -> np.ndarray:
        photo = decode(array.astype(dtype))
        with finish(restore(photo, LocalEngine(), card(), Settings(scale=scale))).canvas as canvas:
            return canvas.read(Box(0, 0, photo.width, photo.height))

    found, wanted = both(restored)
    np.testing.assert_array_equal(found, wanted)
    assert (found != array).any()
