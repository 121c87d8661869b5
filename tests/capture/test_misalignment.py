from __future__ import annotations

import numpy as np
import pytest

from allfocus.capture.frame import Frame, encoded
from allfocus.capture.misalignment import misalignment, smooth_field
from allfocus.capture.register import Alignment, laid_on
from allfocus.metrics.registration import warped


def test_a_planted_shift_is_told_by_most_windows(drawn: np.ndarray) -> None:
    fixed = encoded(drawn).mean(axis=2)
    moving = warped(fixed, np.array([[1, 0, -0.6], [0, 1, 0.3], [0, 0, 1.0]])).astype(np.float32)
    found = misalignment(moving, fixed)
    assert len(found.shifts) >= 6
    np.testing.assert_allclose(np.median(found.shifts, axis=0), [0.6, -0.3], atol=0.03)
    length, error = found.with_error(0.5)
    assert length == pytest.approx(np.hypot(0.6, 0.3), abs=0.04) and error is not None and error < 0.05


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
    assert found.quantile(0.5) is None and found.with_error(0.5) == (None, None)
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
