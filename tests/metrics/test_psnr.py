from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.metrics import peak_signal_noise_ratio

from allfocus.errors import InputError
from allfocus.metrics import fit_gain_offset, psnr, psnr_fit

sides = st.integers(1, 13)


def images(seed: int, shape: tuple[int, ...] = (23, 31, 3)) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    target = generator.random(shape)
    return np.clip(target + generator.normal(0, 0.08, shape), 0, 1), target


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 13, 3), (23, 31), (40, 9, 1)])
def test_agrees_with_scikit_image(shape: tuple[int, ...]) -> None:
    restored, target = images(3, shape)
    assert psnr(restored, target) == pytest.approx(peak_signal_noise_ratio(target, restored, data_range=1), abs=1e-6)


def test_equal_images_are_infinitely_good() -> None:
    restored, _ = images(0)
    assert psnr(restored, restored) == math.inf


def test_float32_is_measured_in_float64() -> None:
    restored, target = (image.astype(np.float32) for image in images(1))
    assert psnr(restored, target) == psnr(restored.astype(np.float64), target.astype(np.float64))


@given(arrays.arrays(np.float64, st.tuples(sides, sides, st.just(3)), elements=st.floats(0, 1)), st.integers(0, 99))
def test_fit_is_never_worse_than_raw(target: np.ndarray, seed: int) -> None:
    restored = np.random.default_rng(seed).random(target.shape)
    assert psnr_fit(restored, target) >= psnr(restored, target) - 1e-9


@given(
    arrays.arrays(np.float64, 3, elements=st.floats(0.3, 3)),
    arrays.arrays(np.float64, 3, elements=st.floats(-0.3, 0.3)),
)
def test_fit_does_not_see_gain_and_offset_of_a_channel(gain: np.ndarray, offset: np.ndarray) -> None:
    restored, target = images(5)
    assert psnr_fit(restored * gain + offset, target) == pytest.approx(psnr_fit(restored, target), abs=1e-6)


def test_fit_finds_the_planted_exposure() -> None:
    scene, _ = images(2)
    gain, offset = fit_gain_offset(scene, scene * [0.8, 1.1, 0.5] + [0.1, -0.05, 0.0])
    np.testing.assert_allclose(gain, [0.8, 1.1, 0.5], atol=1e-12)
    np.testing.assert_allclose(offset, [0.1, -0.05, 0.0], atol=1e-12)


def test_fit_of_a_flat_channel_is_the_mean_of_the_target() -> None:
    _, target = images(2)
    gain, offset = fit_gain_offset(np.full(target.shape, 0.4), target)
    assert not gain.any()
    np.testing.assert_allclose(offset, target.mean(axis=(0, 1)))


@pytest.mark.parametrize(
    ("restored", "words"),
    [
        (np.zeros((4, 4, 3), np.uint8), "divide codes by 255"),
        (np.zeros((4, 5, 3)), "against a target of shape"),
        (np.zeros(4), "has shape (4,)"),
        (np.full((4, 4, 3), np.nan), "NaN or infinity"),
    ],
)
def test_refusals_teach(restored: np.ndarray, words: str) -> None:
    with pytest.raises(InputError) as caught:
        psnr(restored, np.zeros((4, 4, 3)))
    assert words in str(caught.value)
