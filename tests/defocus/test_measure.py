"""The blur that is measured."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.defocus.measure import Blur, measure_blur
from allfocus.photo.codecs import decode
from blurred import blurred_texture


def test_measured_blur_grows_with_the_disc() -> None:
    measured = [measure_blur(decode(blurred_texture(radius))).typical_px for radius in (0.6, 2, 4, 8)]
    assert measured == sorted(measured)
    assert measured[2] == pytest.approx(4, rel=0.35)


@pytest.mark.parametrize("radius", [10, 14, 20])
def test_strong_blur_is_measured_through_the_grain(radius: int) -> None:
    grain = np.random.default_rng(2).normal(0, 2, (768, 768, 3))
    photo = np.clip(blurred_texture(radius, 768) + grain, 0, 255).astype(np.uint8)
    assert measure_blur(decode(photo)).large_px == pytest.approx(radius, rel=0.35)


def test_a_flat_photo_has_no_blur_to_measure() -> None:
    assert measure_blur(decode(np.full((300, 300, 3), 90, np.uint8))) == Blur(0.0, 0.0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (7, 13)])
def test_tiny_photos_are_measured_without_complaint(size: tuple[int, int]) -> None:
    assert measure_blur(decode(np.zeros((*size, 3), np.uint8))).places == 0
