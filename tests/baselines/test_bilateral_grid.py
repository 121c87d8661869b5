"""The grid against the plain bilateral sum."""

from __future__ import annotations

import numpy as np

from allfocus.baselines.bilateral_grid import joint_bilateral


def test_a_constant_stays_constant_and_values_stay_in_range() -> None:
    generator = np.random.default_rng(0)
    guide = generator.random((13, 7))
    np.testing.assert_allclose(joint_bilateral(np.full((13, 7), 3.0), guide, 5.0, 0.1), 3.0)
    signal = generator.random((13, 7))
    smooth = joint_bilateral(signal, guide, 5.0, 0.1)
    assert signal.min() - 1e-9 <= smooth.min() <= smooth.max() <= signal.max() + 1e-9


def test_it_is_near_the_exact_sum() -> None:
    generator = np.random.default_rng(3)
    y, x = np.indices((40, 48))
    guide = 0.5 + 0.4 * np.sin(x / 9.0) * np.cos(y / 7.0)
    signal = np.where(guide > 0.5, 1.0, 0.0) + 0.1 * generator.random(guide.shape)
    exact = np.empty_like(signal)
    for row in range(40):
        for column in range(48):
            distance = ((y - row) ** 2 + (x - column) ** 2) / 5.0**2 + (guide - guide[row, column]) ** 2 / 0.1**2
            weight = np.exp(-0.5 * distance)
            exact[row, column] = (weight * signal).sum() / weight.sum()
    assert np.abs(joint_bilateral(signal, guide, 5.0, 0.1) - exact).mean() < 0.02


def test_a_step_in_the_guide_stays_a_step() -> None:
    step = np.zeros((20, 20))
    step[:, 10:] = 1.0
    np.testing.assert_allclose(joint_bilateral(step, step, 5.0, 0.1), step, atol=1e-6)
