from __future__ import annotations

import numpy as np
import pytest

from allfocus.capture.blur import match_blur
from allfocus.capture.scene import disc_blur


@pytest.mark.parametrize("radius_px", [0.0, 2.0, 4.0, 8.0])
def test_the_radius_is_found_and_the_view_matched(drawn: np.ndarray, radius_px: float) -> None:
    sharp = drawn.mean(axis=2)
    blurred = disc_blur(sharp, radius_px)
    found = match_blur(sharp, blurred)
    middle = (slice(24, -24), slice(24, -24))
    assert np.median(found.radius_px[middle]) == pytest.approx(radius_px, abs=0.35)
    left = np.abs(found.matched - blurred)[middle].mean()
    assert left < 0.25 * np.abs(sharp - blurred)[middle].mean() + 1e-3


def test_each_side_has_its_own_radius(drawn: np.ndarray) -> None:
    sharp = drawn.mean(axis=2)
    half = sharp.shape[1] // 2
    blurred = disc_blur(sharp, 5.6)
    blurred[:, :half] = sharp[:, :half]
    radius = match_blur(sharp, blurred).radius_px
    assert np.median(radius[:, : half - 30]) < 0.4 and np.median(radius[:, half + 30 :]) > 4.5
