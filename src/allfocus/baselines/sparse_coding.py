"""Sparse coding of small patches: orthogonal matching pursuit, and K-SVD to learn its dictionary.

Sources: Rubinstein, Zibulevsky and Elad, "Efficient Implementation of the K-SVD Algorithm using Batch Orthogonal
Matching Pursuit", Technion 2008 (error-constrained pursuit on the Gram matrix); Aharon, Elad and Bruckstein, "K-SVD",
2006.

Letters: P patches, D numbers a patch (64), A atoms (128).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allfocus.baselines.loops import compiled

_DEPENDENT = 1e-5
"""An atom whose part outside the chosen ones has less than this squared length adds nothing."""


@compiled(fastmath=True)
def _pursue(correlation, energy, gram, target, most, projections, chosen):
    """Greedy choice for one patch; returns how many atoms it took.

    Each step keeps the projection of all atoms on the newest orthonormal direction (a row of `projections`), from which
    both the correlations with the residual and its energy follow without the residual itself.
    """
    count = 0
    atoms = gram.shape[0]
    while energy > target and count < most:
        best, height = 0, np.float32(-1.0)
        for a in range(atoms):
            if abs(correlation[a]) > height:
                height = abs(correlation[a])
                best = a
        length = gram[best, best]
        for k in range(count):
            length -= projections[k, best] * projections[k, best]
        if length < _DEPENDENT:
            break
        scale = np.float32(1.0) / np.sqrt(length)
        for a in range(atoms):
            projections[count, a] = gram[best, a]
        for k in range(count):
            along = projections[k, best]
            for a in range(atoms):
                projections[count, a] -= along * projections[k, a]
        step = correlation[best] * scale
        for a in range(atoms):
            projections[count, a] *= scale
            correlation[a] -= step * projections[count, a]
        energy -= step * step
        chosen[count] = best
        count += 1
    return count


@compiled()
def _pursue_all(correlations, energies, gram, target, most, counts, chosen):
    atoms = gram.shape[0]
    projections = np.empty((most, atoms), dtype=np.float32)
    for p in range(correlations.shape[0]):
        counts[p] = _pursue(correlations[p], energies[p], gram, target, most, projections, chosen[p % chosen.shape[0]])


def count_atoms(patches: NDArray, dictionary: NDArray, residual: float, most: int = 64) -> NDArray[np.int32]:
    """How many atoms each patch needs.

    Args:
        patches: (P, D).
        dictionary: (A, D), atoms of unit length.
        residual: the pursuit stops as soon as the rest is no longer than this; unit of the patches.
        most: and at this number at the latest.

    Returns:
        (P,) int32 in 0..most.
    """
    counts, _ = _code(patches, dictionary, residual, most, keep=False)
    return counts


def _code(
    patches: NDArray, dictionary: NDArray, residual: float, most: int, keep: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Counts (P,) and, when `keep`, the chosen atoms (P, most) of which the first `count` are meant."""
    single = np.ascontiguousarray(patches, dtype=np.float32)
    atoms = np.ascontiguousarray(dictionary, dtype=np.float32)
    counts = np.zeros(len(single), dtype=np.int32)
    chosen = np.zeros((len(single) if keep else 1, most), dtype=np.int32)
    energies = np.einsum("pd,pd->p", single, single)
    if len(single):
        _pursue_all(single @ atoms.T, energies, atoms @ atoms.T, np.float32(residual**2), most, counts, chosen)
    return counts, chosen


def learn_dictionary(
    patches: NDArray, atoms: int, residual: float, rounds: int, generator: np.random.Generator, most: int = 16
) -> NDArray[np.float32]:
    """Learn a dictionary with K-SVD (the approximate atom update of the 2008 report).

    Args:
        patches: (P, D) with P several times `atoms`.
        atoms: how many to learn.
        residual: length of the rest at which coding a patch stops.
        rounds: passes of coding all patches and then updating each atom.
        generator: draws the first atoms and those that replace unused ones.
        most: atoms a patch while learning.

    Returns:
        (A, D) float32, atoms of unit length.
    """
    signals = np.asarray(patches, dtype=np.float64)
    dictionary = _unit(signals[generator.choice(len(signals), atoms, replace=False)])
    for _ in range(rounds):
        counts, chosen = _code(signals, dictionary, residual, most, keep=True)
        codes = np.zeros((len(signals), atoms))
        rest = signals.copy()
        for p in np.nonzero(counts)[0]:
            support = chosen[p, : counts[p]]
            codes[p, support] = np.linalg.lstsq(dictionary[support].T, signals[p], rcond=None)[0]
            rest[p] -= codes[p, support] @ dictionary[support]
        for a in generator.permutation(atoms):
            users = np.nonzero(codes[:, a])[0]
            if len(users) == 0:
                worst = int(np.argmax(np.einsum("pd,pd->p", rest, rest)))
                dictionary[a] = _unit(signals[worst])
                rest[worst] = 0.0
                continue
            without = rest[users] + codes[users, a, None] * dictionary[a]
            dictionary[a] = _unit(codes[users, a] @ without)
            codes[users, a] = without @ dictionary[a]
            rest[users] = without - codes[users, a, None] * dictionary[a]
    return dictionary.astype(np.float32)


def _unit(vectors: NDArray) -> NDArray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, np.finfo(np.float64).tiny)
