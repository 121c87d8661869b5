"""EBDB on edges and photos of known blur."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from allfocus.baselines.defocus_maps import ebdb


@pytest.mark.parametrize("sigma_px", [0.8, 1.5, 2.5, 3.5])
def test_a_blurred_step_gives_its_sigma(sigma_px: float) -> None:
    """The formula is exact on a step; what is left is sampling."""
    plane = np.zeros((40, 80))
    plane[:, 40:] = 1.0
    plane = ndimage.gaussian_filter(plane, sigma_px)
    edge = np.zeros_like(plane, dtype=bool)
    edge[5:-5, 39] = True
    found = ebdb.edge_blur(plane, edge, np.full(plane.shape, 2.0))
    # the step lies between pixels 39 and 40, half a pixel from where it is measured
    np.testing.assert_allclose(found[edge], sigma_px, atol=0.12)
    assert not found[~edge].any()


def test_scales_are_chosen_where_presence_first_ends() -> None:
    at_scales = np.zeros((9, 1, 4), dtype=bool)
    at_scales[:9, 0, 0] = True  # everywhere
    at_scales[:5, 0, 1] = True  # five scales
    at_scales[:3, 0, 2] = True  # too few
    at_scales[[0, 1, 2, 3, 5, 6], 0, 3] = True  # ends after four, and comes back
    reliable, persistence, coarse_px = ebdb.choose_scales(at_scales)
    assert reliable[0].tolist() == [True, True, False, True]
    assert persistence[0].tolist() == [9, 5, 3, 6]
    assert coarse_px[0][reliable[0]].tolist() == [2.5, 1.5, 1.25]


def test_smoothing_solves_the_dense_system() -> None:
    generator = np.random.default_rng(0)
    edge = generator.random((9, 11)) > 0.6
    blur_px, persistence = generator.random((9, 11)) * 5, generator.integers(4, 10, (9, 11))
    places = np.argwhere(edge)
    near = np.abs(places[:, None] - places[None]).max(axis=2) == 1
    trust = 1.0 + persistence[edge]
    system = np.diag(20.0 * near.sum(axis=1) + trust) - 20.0 * near
    wanted = np.linalg.solve(system, trust * blur_px[edge])
    found = ebdb.smooth_along_edges(blur_px, edge, persistence)
    np.testing.assert_allclose(found[edge], wanted, rtol=1e-6)
    assert not found[~edge].any()


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (24, 40)])
def test_a_flat_photo_has_no_blur_to_tell(size: tuple[int, int]) -> None:
    found = ebdb.sigma_map(np.full((*size, 3), 0.5, dtype=np.float32))
    assert found.shape == size
    assert found.dtype == np.float32
    assert not found.any()


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_the_order_of_known_blur_is_recovered(ramps, shape: str) -> None:
    scores = {known.name: known.score(ebdb.sigma_map(known.rgb)) for known in ramps(shape)}
    correlations, biases = np.array(list(scores.values())).T
    assert correlations.min() >= 0.65, scores
    assert correlations.mean() >= 0.8, scores
    assert abs(biases.mean()) <= 0.4, scores


def test_progress_counts_up_to_one(small_ramp) -> None:
    seen: list[float] = []
    ebdb.sigma_map(small_ramp.rgb, lambda done, _stage: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
