"""The blur that is measured."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.defocus.measure import REACH_PX, Blur, measure_blur, sampled_energies
from allfocus.photo.codecs import decode
from blurred import blurred_texture


def test_measured_blur_grows_with_the_disc() -> None:
    measured = [measure_blur(decode(blurred_texture(radius))).typical_px for radius in (0.6, 2, 4, 8)]
    assert measured == sorted(measured)
    assert measured[2] == pytest.approx(4, rel=0.35)


@pytest.mark.parametrize("radius", [10, 14, 20, 30])
def test_strong_blur_is_measured_through_the_grain(radius: int) -> None:
    grain = np.random.default_rng(2).normal(0, 2, (1024, 1024, 3))
    photo = np.clip(blurred_texture(radius, 1024) + grain, 0, 255).astype(np.uint8)
    assert measure_blur(decode(photo)).large_px == pytest.approx(radius, rel=0.35)


def test_soft_shading_amid_fine_texture_is_no_blur() -> None:
    blocks = np.kron(np.random.default_rng(3).choice([-6, 6], (192, 192)), np.ones((4, 4)))
    y, x = np.mgrid[:768, :768]
    photo = 128 + blocks + 60 * np.sin(x / 24 + y / 40)
    assert measure_blur(decode(photo[..., None].repeat(3, 2).astype(np.uint8))).large_px < 3


def test_a_flat_photo_has_no_blur_to_measure() -> None:
    assert measure_blur(decode(np.full((300, 300, 3), 90, np.uint8))) == Blur(0.0, 0.0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (7, 13)])
def test_tiny_photos_are_measured_without_complaint(size: tuple[int, int]) -> None:
    assert measure_blur(decode(np.zeros((*size, 3), np.uint8))).places == 0


@pytest.mark.parametrize("size", [(2, 2), (8, 14), (62, 30)])
def test_sampled_energies_are_differences_of_the_smoothed_picture(size: tuple[int, int]) -> None:
    height, width = size
    grey = np.random.default_rng(0).random((height + 2 * REACH_PX, width + 2 * REACH_PX), np.float32)
    for found, sigma_px in zip(sampled_energies(grey), (0.7, np.hypot(0.7, 1.0)), strict=True):
        reach = int(np.ceil(3 * sigma_px))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
        kernel, smooth = kernel / kernel.sum(), grey.astype(np.float64)
        for axis in (0, 1):
            lines = [np.convolve(line, kernel, "same") for line in np.moveaxis(smooth, axis, 0).T]
            smooth = np.moveaxis(np.array(lines).T, 0, axis)
        down, across = ((np.roll(smooth, -2, axis) - smooth) / 2 for axis in (0, 1))
        wanted = (down**2 + across**2)[REACH_PX:-REACH_PX:2, REACH_PX:-REACH_PX:2]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
