from __future__ import annotations

import math

import numpy as np
import pytest

from allfocus.errors import InputError
from allfocus.metrics import reblur_consistency
from allfocus.metrics.reblur import disc, reblur


def scene(shape: tuple[int, ...] = (48, 57, 3)) -> np.ndarray:
    return np.random.default_rng(4).random(shape)


@pytest.mark.parametrize("radius_px", [0.0, 0.5, 1.0, 2.5, 6.0, 15.0])
def test_disc_keeps_energy_and_has_the_second_moment_of_a_disc(radius_px: float) -> None:
    kernel = disc(radius_px)
    assert kernel.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-15)
    if radius_px >= 2.5:
        axis = np.arange(len(kernel)) - len(kernel) // 2
        assert math.sqrt((kernel.sum(axis=0) * axis**2).sum()) == pytest.approx(radius_px / 2, rel=0.03)


def test_radius_zero_is_identity() -> None:
    photo = scene((7, 13, 3))
    np.testing.assert_allclose(reblur(photo, np.zeros((7, 13))), photo, atol=1e-12)


def test_flat_photo_stays_flat_under_any_map() -> None:
    radii = np.linspace(-9, 9, 40 * 50).reshape(40, 50)
    np.testing.assert_allclose(reblur(np.full((40, 50, 3), 0.4), radii), 0.4, atol=1e-9)


def test_a_uniform_map_is_one_convolution_in_linear_light() -> None:
    photo, kernel = scene((30, 30, 1)), disc(3.0)
    reach = len(kernel) // 2
    windows = np.lib.stride_tricks.sliding_window_view(photo[..., 0] ** 2.2, kernel.shape)
    inner = (windows * kernel).sum(axis=(-1, -2)) ** (1 / 2.2)
    blurred = reblur(photo, np.full((30, 30), 3.0))
    np.testing.assert_allclose(blurred[reach:-reach, reach:-reach, 0], inner, atol=1e-9)


def test_the_truth_is_more_consistent_than_the_input() -> None:
    truth = np.repeat(np.repeat(scene((12, 14, 3)), 5, axis=0), 5, axis=1)
    radii = np.full(truth.shape[:2], 3.0)
    source = reblur(truth, radii)
    assert reblur_consistency(truth, source, radii) > 100
    assert reblur_consistency(source, source, radii) < 35


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="resize the map"):
        reblur(scene(), np.zeros((3, 3)))
