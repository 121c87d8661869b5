"""Sparse coding of small patches: orthogonal matching pursuit.

Source: Rubinstein, Zibulevsky and Elad, "Efficient Implementation of the K-SVD Algorithm using Batch Orthogonal
Matching Pursuit", Technion 2008 (error-constrained pursuit on the Gram matrix).

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
    """How many atoms each patch needs, (P,) int32 in 0..most: `code` without the atoms."""
    return code(patches, dictionary, residual, most, keep=False)[0]


def code(
    patches: NDArray, dictionary: NDArray, residual: float, most: int, keep: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Counts (P,) and, when `keep`, the chosen atoms (P, most) of which the first `count` are meant.

    Args:
        patches: (P, D).
        dictionary: (A, D), atoms of unit length.
        residual: the pursuit stops once the rest is no longer than this, in the unit of the patches.
        most: and at this number of atoms.
        keep: whether to keep the chosen atoms.
    """
    single = np.ascontiguousarray(patches, dtype=np.float32)
    atoms = np.ascontiguousarray(dictionary, dtype=np.float32)
    counts = np.zeros(len(single), dtype=np.int32)
    chosen = np.zeros((len(single) if keep else 1, most), dtype=np.int32)
    energies = np.einsum("pd,pd->p", single, single)
    if len(single):
        _pursue_all(single @ atoms.T, energies, atoms @ atoms.T, np.float32(residual**2), most, counts, chosen)
    return counts, chosen
