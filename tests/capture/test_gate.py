from __future__ import annotations

import numpy as np
import pytest

from allfocus.capture.frame import encoded
from allfocus.capture.gate import (
    REASONS,
    AlignedViews,
    GateLimits,
    Measures,
    bands_of_light,
    moving_map,
    moving_share,
    noise_of,
    sharpness_ratio,
)
from allfocus.capture.scene import disc_blur


def views(source: np.ndarray, target: np.ndarray, soft: np.ndarray) -> AlignedViews:
    planes = (np.asarray(one, np.float32) for one in (source, target, soft))
    return AlignedViews(*planes, np.ones(source.shape, bool))


@pytest.fixture
def plane(drawn: np.ndarray) -> np.ndarray:
    return encoded(drawn).mean(axis=2)


@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.08])
def test_noise_is_measured(sigma: float) -> None:
    ramp = np.linspace(0.2, 0.8, 256)[None] * np.ones((192, 1))
    noisy = ramp + np.random.default_rng(1).normal(0, sigma, ramp.shape)
    assert noise_of(noisy.astype(np.float32)) == pytest.approx(sigma, rel=0.2)


def test_sharper_is_more_than_one_and_softer_less(plane: np.ndarray) -> None:
    soft = disc_blur(plane, 4.0)
    assert sharpness_ratio(views(soft, plane, soft), 0.0) > 1.5
    assert sharpness_ratio(views(plane, soft, plane), 0.0) < 0.7
    assert sharpness_ratio(views(plane, plane, plane), 0.0) == pytest.approx(1, abs=0.01)


def test_bands_of_light(plane: np.ndarray) -> None:
    rows = np.sin(np.arange(plane.shape[0]) / plane.shape[0] * 2 * np.pi * 4)[:, None]
    assert bands_of_light(views(plane, plane, plane)) == pytest.approx(0, abs=1e-6)
    assert bands_of_light(views(plane * (1 + 0.08 * rows), plane, plane)) > 0.03
    assert bands_of_light(views(plane * np.linspace(0.8, 1.2, plane.shape[1])[None], plane, plane)) < 0.01


def test_something_that_is_in_one_view_only(plane: np.ndarray) -> None:
    other = plane.copy()
    other[60:110, 80:140] = plane[150:200, 20:80]
    assert moving_share(moving_map(views(plane, plane, plane), 0.01)) == 0
    assert moving_share(moving_map(views(other, plane, plane), 0.01)) > 0.01


def test_reasons_come_in_their_order() -> None:
    bad = Measures(clipped=0.5, noise=0.2, flicker=0.1, sharper=0.9, shift_px=2.0, many_px=3.0, moving=0.2)
    reasons = bad.reasons(GateLimits())
    assert reasons == [reason for reason in REASONS if reason in reasons] and len(reasons) == 6
    assert Measures().reasons(GateLimits()) == []
    assert Measures(0.0, 0.01, 0.0, 1.4, 0.1, 0.2, 0.0).reasons(GateLimits()) == []
