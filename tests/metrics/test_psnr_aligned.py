from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from allfocus.errors import InputError
from allfocus.metrics import psnr_aligned, psnr_fit
from allfocus.metrics.psnr_aligned import aligning_warp
from allfocus.metrics.registration import warped
from scenery import planted, scenery

TARGET = scenery(3)
RESTORED = ndimage.gaussian_filter(TARGET, (1.2, 1.2, 0)) + np.random.default_rng(0).normal(0, 0.003, TARGET.shape)
CUT = (slice(16, -16), slice(16, -16))


def cut_fit(restored: np.ndarray, target: np.ndarray) -> float:
    return psnr_fit(restored[CUT], target[CUT])


@pytest.mark.parametrize(
    ("shift", "scale"), [((0.5, 0.0), 1.0), ((-0.35, 0.35), 1.0), ((0, 0), 1.001), ((0.5, 0), 0.999)]
)
def test_a_planted_shift_and_scale_change_nothing(shift: tuple[float, float], scale: float) -> None:
    planted_photo = warped(RESTORED, planted(TARGET.shape, shift, scale))
    assert cut_fit(planted_photo, TARGET) < cut_fit(RESTORED, TARGET) - 0.01
    assert psnr_aligned(planted_photo, TARGET) == pytest.approx(psnr_aligned(RESTORED, TARGET), abs=0.1)


def test_exposure_changes_nothing() -> None:
    assert psnr_aligned(0.6 * RESTORED + 0.1, TARGET) == pytest.approx(psnr_aligned(RESTORED, TARGET), abs=0.01)


def test_what_lies_right_is_hardly_moved() -> None:
    assert psnr_aligned(RESTORED, TARGET) == pytest.approx(cut_fit(RESTORED, TARGET), abs=0.02)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 3.0]))
def test_noise_is_never_aligned(seed: int, sigma: float) -> None:
    generator = np.random.default_rng(seed)
    pair = [ndimage.gaussian_filter(generator.normal(size=(128, 160, 3)), (sigma, sigma, 0)) for _ in range(2)]
    restored, target = (0.5 + 0.1 * noise / noise.std() for noise in pair)
    assert psnr_aligned(restored, target) - cut_fit(restored, target) < 0.02


def test_noise_against_a_scene_is_left_where_it_is() -> None:
    noise = np.random.default_rng(1).random(TARGET.shape)
    np.testing.assert_array_equal(aligning_warp(noise, TARGET), np.eye(3))
    np.testing.assert_array_equal(aligning_warp(TARGET, noise), np.eye(3))


@settings(max_examples=5)
@given(arrays.arrays(np.float64, (64, 71, 3), elements=st.floats(0, 1), fill=st.floats(0, 1)))
def test_never_below_psnr_fit_of_the_same_area(target: np.ndarray) -> None:
    restored = np.random.default_rng(0).random(target.shape)
    assert psnr_aligned(restored, target) >= cut_fit(restored, target)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 13, 3), (47, 60, 1), (55, 300)])
def test_small_pictures_stay_where_they_are(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(2)
    restored, target = generator.random(shape), generator.random(shape)
    area = CUT if min(shape[:2]) >= 48 else ...
    assert psnr_aligned(restored, target) == psnr_fit(restored[area], target[area])


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="two images of one size"):
        psnr_aligned(RESTORED[1:], TARGET)
