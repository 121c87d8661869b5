"""Laws of the recursive filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.baselines.domain_transform import fill, recursive_filter
from allfocus.errors import InputError

SIZES = st.sampled_from([(1, 1), (1, 9), (7, 13), (16, 5)])


@settings(max_examples=25, deadline=None)
@given(size=SIZES, seed=st.integers(0, 99), value=st.floats(-5, 5))
def test_a_constant_stays_constant(size: tuple[int, int], seed: int, value: float) -> None:
    guide = np.random.default_rng(seed).random((*size, 3))
    np.testing.assert_allclose(recursive_filter(np.full(size, value), guide, 7.0, 0.5), value, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(size=SIZES, seed=st.integers(0, 99))
def test_values_stay_within_the_range_of_the_signal(size: tuple[int, int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    signal, guide = generator.random(size), generator.random(size)
    smooth = recursive_filter(signal, guide, 20.0, 0.3, 5)
    assert smooth.min() >= signal.min() - 1e-12
    assert smooth.max() <= signal.max() + 1e-12


def test_one_pass_is_the_recursion_of_the_paper() -> None:
    generator = np.random.default_rng(0)
    signal, guide = generator.random((3, 5)), generator.random((3, 5))
    feedback = np.exp(-np.sqrt(2) / (4.0 * np.sqrt(3) / np.sqrt(3)))
    wanted = signal.copy()
    for line, along in ((wanted, guide), (wanted.T, guide.T)):  # rows, then columns
        for row, edge in zip(line, along, strict=True):
            weight = feedback ** (1 + 4.0 / 0.5 * np.abs(np.diff(edge)))
            for x in range(1, len(row)):
                row[x] += weight[x - 1] * (row[x - 1] - row[x])
            for x in range(len(row) - 2, -1, -1):
                row[x] += weight[x] * (row[x + 1] - row[x])
    np.testing.assert_allclose(recursive_filter(signal, guide, 4.0, 0.5, iterations=1), wanted, atol=1e-12)


def test_in_a_flat_guide_a_step_becomes_smooth_and_a_strong_edge_keeps_it() -> None:
    step = np.zeros((8, 40))
    step[:, 20:] = 1.0
    assert recursive_filter(step, np.zeros_like(step), 5.0, 0.1)[4, 21] < 0.8
    assert recursive_filter(step, 10 * step, 5.0, 0.1)[4, 21] > 0.999


def test_the_reach_in_a_flat_guide_is_sigma() -> None:
    impulse = np.zeros((1, 401))
    impulse[0, 200] = 1.0
    response = recursive_filter(impulse, np.zeros_like(impulse), 12.0, 1.0, iterations=5)[0]
    place = np.arange(401) - 200
    assert response.sum() == pytest.approx(1.0, abs=1e-3)
    assert np.sqrt((response * place**2).sum() / response.sum()) == pytest.approx(12.0, rel=0.05)


def test_filling_gives_a_constant_from_any_of_its_samples() -> None:
    known = np.zeros((9, 14), dtype=bool)
    known[2, 3] = known[7, 11] = True
    values = np.where(known, 2.5, np.nan)
    filled = fill(values, known, np.random.default_rng(1).random((9, 14, 3)), 5.0, 0.5)
    np.testing.assert_allclose(filled, 2.5)


def test_filling_stays_within_the_known_values_and_knows_nothing_from_nothing() -> None:
    generator = np.random.default_rng(2)
    values, known = generator.random((11, 6)), generator.random((11, 6)) > 0.7
    filled = fill(values, known, values, 3.0, 0.2)
    assert values[known].min() - 1e-9 <= filled.min() <= filled.max() <= values[known].max() + 1e-9
    assert not fill(values, np.zeros_like(known), values, 3.0, 0.2).any()


def test_a_guide_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(4, 5\).*the same height and width"):
        recursive_filter(np.zeros((4, 5)), np.zeros((5, 4)), 1.0, 1.0)
