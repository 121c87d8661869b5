"""JNB on photos of known blur; the shipped calibration and its file."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from allfocus.baselines.defocus_maps import jnb
from allfocus.errors import InputError, WeightsError


def test_the_shipped_calibration_is_what_the_method_expects() -> None:
    calibration = jnb.shipped_calibration()
    assert calibration.dictionary.shape == (128, 64)
    np.testing.assert_allclose(np.linalg.norm(calibration.dictionary, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(calibration.dictionary.mean(axis=1), 0.0, atol=1e-4)
    assert (np.diff(calibration.sparsity) > 0).all()
    assert (np.diff(calibration.sigma_px) < 0).all()
    assert "own calibration, not the authors'" in calibration.note
    file = resources.files("allfocus.baselines.defocus_maps").joinpath("jnb_calibration.npz")
    assert len(file.read_bytes()) < 200_000


def test_a_calibration_survives_its_file_and_a_damaged_one_is_refused() -> None:
    content = jnb.shipped_calibration().to_bytes()
    again = jnb.Calibration.from_bytes(content)
    assert np.array_equal(again.dictionary, jnb.shipped_calibration().dictionary)
    assert again.note == jnb.shipped_calibration().note
    for damaged in (b"", content[:2000], b"text"):
        with pytest.raises(WeightsError, match="calibrate again"):
            jnb.Calibration.from_bytes(damaged)


def test_the_curve_falls_and_stays_in_range() -> None:
    sigma_px = jnb.shipped_calibration().sigma(np.linspace(0, 64, 200))
    assert (np.diff(sigma_px) <= 0).all()
    assert (sigma_px.min(), sigma_px.dtype) == (0.0, np.float32)
    assert sigma_px.max() <= jnb.PEAK_PX


def test_a_flat_patch_needs_no_atom_and_noise_needs_many() -> None:
    grey = np.full((20, 60), 128.0)
    grey[:, 30:] += 25 * np.random.default_rng(0).standard_normal((20, 30))
    counts = jnb.sparsity(grey, jnb.shipped_calibration().dictionary)
    assert counts.shape == grey.shape
    assert counts[:, :25].max() == 0
    assert counts[:, 35:].min() > 20


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (16, 40)])
def test_a_flat_photo_gives_a_map_of_its_size(size: tuple[int, int]) -> None:
    found = jnb.sigma_map(np.full((*size, 3), 0.5, dtype=np.float32))
    assert found.shape == size
    assert np.isfinite(found).all()


def test_a_photo_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(InputError, match="at least 8x8 px"):
        jnb.sigma_map(np.zeros((7, 13, 3)))


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
def test_the_order_of_known_blur_is_recovered(ramps, shape: str) -> None:
    scores = {known.name: known.score(jnb.sigma_map(known.rgb)) for known in ramps(shape)}
    correlations, biases = np.array(list(scores.values())).T
    assert correlations.min() >= 0.65, scores
    assert correlations.mean() >= 0.75, scores
    assert abs(biases.mean()) <= 0.6, scores


def test_threads_do_not_change_the_map_and_progress_counts_up(small_ramp) -> None:
    seen: list[float] = []
    one = jnb.sigma_map(small_ramp.rgb, threads=1)
    two = jnb.sigma_map(small_ramp.rgb, lambda done, _stage: seen.append(done), threads=2)
    assert np.array_equal(one, two)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
