from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allfocus.errors import OptionError
from allfocus.metrics import ringing


def scene(seed: int = 0, shape: tuple[int, ...] = (33, 41, 3)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def local_mean(image: np.ndarray, radius_px: int) -> np.ndarray:
    padded = np.pad(image, ((radius_px, radius_px), (radius_px, radius_px), (0, 0)), mode="edge")
    size = 2 * radius_px + 1
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1)).mean(axis=(-1, -2))


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 13, 3), (9, 5, 1)])
def test_nothing_happened_nothing_rings(shape: tuple[int, ...]) -> None:
    assert ringing(scene(1, shape), scene(1, shape)) == 0.0


@given(st.integers(0, 6), st.integers(0, 9))
def test_a_local_average_never_rings(radius_px: int, seed: int) -> None:
    photo = scene(seed, (19, 17, 3))
    assert ringing(local_mean(photo, radius_px), photo, radius_px) == pytest.approx(0.0, abs=1e-12)


def test_grows_with_the_strength_of_an_unsharp_mask() -> None:
    step = np.repeat(np.where(np.arange(60) < 30, 0.3, 0.7)[None, :, None], 40, axis=0)
    soft = local_mean(step, 3)
    indices = [ringing(soft + strength * (soft - local_mean(soft, 3)), soft) for strength in (0.5, 1.0, 2.0)]
    assert 0 < indices[0] < indices[1] < indices[2]


def test_exact_overshoot_of_one_pixel() -> None:
    flat = np.full((20, 20, 1), 0.5)
    spike = flat.copy()
    spike[4, 5] = 0.9
    spike[9, 5] = 0.3
    assert ringing(spike, flat) == pytest.approx((0.4 + 0.2) / 400)


def test_negative_radius_is_refused() -> None:
    with pytest.raises(OptionError, match="0 or more"):
        ringing(scene(), scene(), -1)
