"""Pursuit against a slow one, and K-SVD on signals whose dictionary is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from allfocus.baselines.sparse_coding import count_atoms
from jnb_calibrate import learn_dictionary


def dictionary(atoms: int, length: int, seed: int) -> NDArray:
    vectors = np.random.default_rng(seed).standard_normal((atoms, length))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def slow_count(signal: NDArray, atoms: NDArray, residual: float, most: int) -> int:
    chosen: list[int] = []
    rest = signal
    while np.linalg.norm(rest) > residual and len(chosen) < most:
        chosen.append(int(np.argmax(np.abs(atoms @ rest))))
        rest = signal - atoms[chosen].T @ np.linalg.lstsq(atoms[chosen].T, signal, rcond=None)[0]
    return len(chosen)


@pytest.mark.parametrize("most", [3, 64])
def test_it_counts_as_least_squares_does(most: int) -> None:
    atoms = dictionary(128, 64, 0)
    signals = 20 * np.random.default_rng(1).standard_normal((40, 64))
    wanted = [slow_count(signal, atoms, 18.4, most) for signal in signals]
    found = count_atoms(signals, atoms, 18.4, most)
    assert np.abs(found - wanted).max() <= 1  # single precision may tip one step
    assert (found == wanted).mean() > 0.9


def test_nothing_needs_nothing_and_a_sum_of_two_atoms_needs_two() -> None:
    atoms = np.eye(64)
    signals = np.stack([np.zeros(64), 30 * atoms[5], 30 * atoms[5] - 40 * atoms[9]])
    assert count_atoms(signals, atoms, 1.0).tolist() == [0, 1, 2]
    assert count_atoms(np.zeros((0, 64)), atoms, 1.0).shape == (0,)


def test_k_svd_finds_the_atoms_that_made_the_signals() -> None:
    generator = np.random.default_rng(4)
    truth = dictionary(20, 16, 5)
    codes = np.zeros((1500, 20))
    for row in codes:
        row[generator.choice(20, 2, replace=False)] = generator.choice([-1, 1], 2) * generator.uniform(5, 10, 2)
    learnt = learn_dictionary(codes @ truth, 20, residual=0.5, rounds=25, generator=generator, most=2)
    np.testing.assert_allclose(np.linalg.norm(learnt, axis=1), 1.0, rtol=1e-5)
    nearest = np.abs(truth @ learnt.T).max(axis=1)
    assert (nearest > 0.98).mean() >= 0.8
