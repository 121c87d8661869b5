from __future__ import annotations

import cv2
import numpy as np
import pytest

from allfocus.capture.frame import Frame, encoded
from allfocus.capture.misalignment import misalignment, smooth_field
from allfocus.capture.register import Alignment, laid_on
from allfocus.metrics.registration import warped
from capture_truth import quantile_error


def test_a_planted_shift_is_told_by_most_windows(drawn: np.ndarray) -> None:
    fixed = encoded(drawn).mean(axis=2)
    moving = warped(fixed, np.array([[1, 0, -0.6], [0, 1, 0.3], [0, 0, 1.0]])).astype(np.float32)
    found = misalignment(moving, fixed)
    assert len(found.shifts) >= 6
    np.testing.assert_allclose(np.median(found.shifts, axis=0), [0.6, -0.3], atol=0.03)
    error = quantile_error(found.lengths_px, 0.5)
    assert found.quantile(0.5) == pytest.approx(np.hypot(0.6, 0.3), abs=0.04) and error is not None and error < 0.05
    assert not found.bent_px.size and found.residual(0.5) == found.quantile(0.5)


def test_a_view_that_no_shift_brings_back_is_bent(drawn: np.ndarray) -> None:
    """Windows whose halves lie apart by pixels are the ones with the largest residual, not ones without a say."""
    fixed = encoded(drawn).mean(axis=2)
    rows, columns = np.mgrid[0 : fixed.shape[0], 0 : fixed.shape[1]].astype(np.float32)
    across = 5 * np.sin(columns / fixed.shape[1] * 2 * np.pi) * np.cos(rows / fixed.shape[0] * 2 * np.pi)
    bent = cv2.remap(fixed.astype(np.float32), columns + across, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    found = misalignment(bent, fixed.astype(np.float32))
    assert len(found.bent_px) > len(found.shifts)
    length_px = found.residual(0.5)
    assert length_px is not None and 1 < length_px < 5


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_error_of_a_quantile_is_how_it_scatters(share: float) -> None:
    generator = np.random.default_rng(2)
    draws = generator.gamma(2.0, 0.2, (400, 100))
    told = np.median([quantile_error(one, share) or 0 for one in draws[:40]])
    assert told == pytest.approx(np.quantile(draws, share, axis=1).std(), rel=0.25)
    assert quantile_error(draws[0, :3], share) is None


def test_a_field_brings_it_back_within_its_limit(drawn: np.ndarray) -> None:
    fixed = encoded(drawn).mean(axis=2)
    moving = warped(fixed, np.array([[1, 0, -0.6], [0, 1, 0.0], [0, 0, 1.0]])).astype(np.float32)
    found = misalignment(moving, fixed)
    field = smooth_field(found, fixed.shape, 2.0)
    assert np.median(field[..., 0]) == pytest.approx(0.6, abs=0.08) and np.abs(field[..., 1]).mean() < 0.05
    assert np.hypot(*np.moveaxis(smooth_field(found, fixed.shape, 0.31), 2, 0)).max() < 0.35


def test_nothing_to_hold_on_to_is_no_window() -> None:
    flat = np.full((128, 128), 0.3, np.float32)
    found = misalignment(flat, flat)
    assert found.quantile(0.5) is None and quantile_error(found.lengths_px, 0.5) is None
    assert not smooth_field(found, flat.shape, 2.0).any()


def test_windows_of_noise_are_not_trusted() -> None:
    generator = np.random.default_rng(0)
    one, two = (generator.random((192, 192)).astype(np.float32) for _ in range(2))
    assert len(misalignment(one, two).shifts) <= 2


def test_a_view_laid_through_its_field_lies_right(drawn: np.ndarray) -> None:
    light = warped(drawn, np.array([[1, 0, -0.7], [0, 1, 0.4], [0, 0, 1.0]])).astype(np.float32)
    fixed, moving = (encoded(one).mean(axis=2) for one in (drawn, light))
    found = misalignment(moving, fixed)
    target = Frame(np.clip(light, 0, 1), np.zeros(fixed.shape, bool))
    laid = laid_on(target, Alignment(np.eye(3), False, 0), fixed.shape, smooth_field(found, fixed.shape, 2.0))
    after = misalignment(encoded(laid.linear).mean(axis=2), fixed)
    before_px, after_px = found.quantile(0.5), after.quantile(0.5)
    assert before_px is not None and after_px is not None and after_px < 0.2 * before_px
