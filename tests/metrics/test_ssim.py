from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from allfocus.errors import InputError
from allfocus.metrics import ssim


@pytest.mark.parametrize("shape", [(7, 7, 3), (7, 13, 3), (8, 9, 1), (64, 41, 3), (300, 500, 3)])
@pytest.mark.parametrize("noise", [0.001, 0.1, 0.6])
def test_agrees_with_scikit_image(shape: tuple[int, ...], noise: float) -> None:
    generator = np.random.default_rng(7)
    target = generator.random(shape)
    restored = np.clip(target + generator.normal(0, noise, shape), 0, 1)
    expected = structural_similarity(restored, target, data_range=1, channel_axis=-1)
    assert ssim(restored, target) == pytest.approx(expected, abs=1e-6)


def test_grey_image_without_a_channel_axis() -> None:
    target = np.random.default_rng(1).random((20, 30))
    assert ssim(target, target[::-1]) == pytest.approx(
        structural_similarity(target, target[::-1], data_range=1), abs=1e-6
    )


def test_flat_images_are_equal_to_themselves_only() -> None:
    flat = np.full((16, 16, 3), 0.3)
    assert ssim(flat, flat) == 1.0
    assert ssim(flat, flat + 0.2) < 1.0


def test_float32_is_measured_in_float64() -> None:
    generator = np.random.default_rng(2)
    restored, target = (generator.random((30, 30, 3)).astype(np.float32) for _ in range(2))
    assert ssim(restored, target) == ssim(restored.astype(np.float64), target.astype(np.float64))


def test_too_small_for_the_window() -> None:
    with pytest.raises(InputError, match="at least 7x7"):
        ssim(np.zeros((6, 40, 3)), np.zeros((6, 40, 3)))
