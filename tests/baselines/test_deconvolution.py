"""Laws of the hyper-Laplacian solver, closed forms, and a gain on known blur."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import fft, ndimage

from allfocus.baselines import deconvolution
from allfocus.baselines.deconvolution import Prior, deblur, deconvolve, gaussian, quantise, shrink, shrunk_divergence
from allfocus.errors import InputError, OptionError


def psnr(found: NDArray, wanted: NDArray) -> float:
    return float(-10 * np.log10(np.square(np.asarray(found, np.float64) - wanted).mean()))


@settings(max_examples=30, deadline=None)
@given(
    alpha=st.sampled_from([0.5, 2 / 3, 0.8, 1.0, 1.2, 1.5, 2.0]),
    beta=st.sampled_from([1.0, 8.0, 181.0]),
    slope=st.floats(-2, 2, allow_subnormal=False),
)
def test_shrinking_finds_the_minimum(alpha: float, beta: float, slope: float) -> None:
    def cost(w: NDArray) -> NDArray:
        return np.abs(w) ** alpha + beta / 2 * (w - slope) ** 2

    found = shrink(np.array([slope]), beta, alpha)
    every = np.linspace(-2, 2, 40_001)
    assert cost(found)[0] <= cost(every).min() + 1e-6


def test_shrinking_has_its_closed_forms() -> None:
    slopes = np.linspace(-3, 3, 601)
    soft = np.sign(slopes) * np.maximum(np.abs(slopes) - 1 / 8, 0)
    np.testing.assert_allclose(shrink(slopes, 8.0, 1.0), soft, atol=1e-9)
    np.testing.assert_allclose(shrink(slopes, 8.0, 2.0), 8 * slopes / 10, atol=1e-9)


@pytest.mark.parametrize("beta", [1.0, 22.6, 181.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (7, 13)])
def test_the_compiled_exponent_is_the_tabulated_one(beta: float, size: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).random(size).astype(np.float32)
    general = shrunk_divergence(plane, beta, 1.5 + 1e-9)
    np.testing.assert_allclose(shrunk_divergence(plane, beta, 1.5), general, atol=2e-6)


def test_the_divergence_is_the_adjoint_of_the_gradient() -> None:
    generator = np.random.default_rng(1)
    plane, other = generator.random((2, 6, 9)).astype(np.float32)
    # with exponent 2 shrinking is a factor: <D'Dx, y> = <Dx, Dy>
    factor = 8.0 / 10.0
    left = (shrunk_divergence(plane, 8.0, 2.0) * other).sum()
    right = sum((np.roll(plane, -1, a) - plane).ravel() @ (np.roll(other, -1, a) - other).ravel() for a in (0, 1))
    assert left == pytest.approx(factor * right, rel=1e-5)


def test_with_exponent_two_it_converges_to_the_regularised_inverse() -> None:
    """alpha 2 is Wiener's problem; one splitting with a huge beta solves lambda |kx-y|^2/2 + |Dx|^2 in the limit."""
    generator = np.random.default_rng(2)
    picture = generator.random((24, 30)).astype(np.float32)
    transfer = deconvolution._transfer(gaussian(1.0), picture.shape)
    prior = Prior(50.0, 2.0)
    found = deconvolution._solve(picture, transfer, prior)
    slope_power = sum(
        (2 - 2 * np.cos(2 * np.pi * np.arange(n) / n)).reshape(shape) for n, shape in ((24, (24, 1)), (30, (1, 30)))
    )[:, :16]
    # six alternations by hand, in the spectrum
    spectrum, data = fft.rfft2(picture.astype(np.float64)), np.conj(transfer) * fft.rfft2(picture.astype(np.float64))
    beta = 1.0
    while beta < 256:
        gathered = beta / (2 + beta) * slope_power * spectrum
        spectrum = (data + beta / 50 * gathered) / (np.abs(transfer) ** 2 + beta / 50 * slope_power)
        beta *= 2 * np.sqrt(2)
    np.testing.assert_allclose(found, np.asarray(fft.irfft2(spectrum, picture.shape)), atol=2e-4)


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (40, 33)])
def test_a_constant_stays_constant(size: tuple[int, int]) -> None:
    photo = np.full((*size, 3), 0.4, dtype=np.float32)
    np.testing.assert_allclose(deblur(photo, np.full(size, 2.0)), 0.4, atol=1e-5)


@pytest.mark.parametrize("selection", ["hard", "blend"])
@pytest.mark.parametrize("size", [(1, 1), (7, 13)])
def test_sigma_zero_returns_the_input_to_the_bit(selection: str, size: tuple[int, int]) -> None:
    photo = np.random.default_rng(3).random((*size, 3)).astype(np.float32)
    assert np.array_equal(deblur(photo, np.zeros(size), selection=selection), photo)  # type: ignore[arg-type]


@pytest.mark.parametrize("selection", ["hard", "blend"])
def test_where_sigma_is_zero_the_pixels_stay_to_the_bit(selection: str) -> None:
    photo = np.random.default_rng(4).random((30, 40, 3)).astype(np.float32)
    sigma_px = np.zeros((30, 40))
    sigma_px[:, 20:] = np.linspace(0.5, 2.0, 20)
    found = deblur(photo, sigma_px, selection=selection)  # type: ignore[arg-type]
    assert np.array_equal(found[:, :20], photo[:, :20])
    assert not np.array_equal(found[:, 20:], photo[:, 20:])


def test_known_blur_is_undone_by_several_decibels(small_ramp) -> None:
    sharp = small_ramp.sharp
    blurred = np.rint(ndimage.gaussian_filter(sharp, (2.0, 2.0, 0), mode="nearest") * 255) / np.float32(255)
    before = psnr(blurred, sharp)
    everywhere = np.full(sharp.shape[:2], 2.0)
    assert psnr(deblur(blurred, everywhere, Prior(420.0)), sharp) > before + 2.0
    assert psnr(deblur(blurred, everywhere, Prior(16.8)), sharp) > before + 0.5


def test_blending_the_levels_is_better_where_blur_changes_smoothly(small_ramp) -> None:
    hard, blend = (
        psnr(deblur(small_ramp.rgb, small_ramp.sigma_px, Prior(420.0), selection), small_ramp.sharp)
        for selection in ("hard", "blend")
    )
    assert hard > psnr(small_ramp.rgb, small_ramp.sharp) + 1.0
    assert blend > hard


def test_the_kernel_is_a_gaussian() -> None:
    kernel = gaussian(1.7)
    place = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1.0)
    assert kernel.sum(axis=0) @ place**2 == pytest.approx(1.7**2, rel=1e-6)
    assert gaussian(0.0).shape == gaussian(0.1).shape == (1, 1)
    assert gaussian(0.2).shape > (1, 1)
    assert gaussian(50.0).shape == (101, 101)


def test_levels_are_at_most_33_and_lie_in_the_map() -> None:
    sigma_px = np.rint(np.random.default_rng(5).random((60, 60)) * 255) / 255 * 5
    levels = quantise(sigma_px)
    assert len(levels) == 34  # the ends of 33 bins
    assert (np.diff(levels) > 0).all()
    assert (levels[0], levels[-1]) == (sigma_px.min(), sigma_px.max())
    assert quantise(np.full((3, 3), 1.5)).tolist() == [1.5]


def test_progress_counts_up_to_one() -> None:
    seen: list[float] = []
    deblur(np.zeros((9, 9, 3)), np.full((9, 9), 1.0), progress=lambda done, _stage: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.parametrize("sigma_px", [np.zeros((3, 4)), np.full((4, 3), -1.0), np.full((4, 3), np.nan)])
def test_a_map_that_does_not_fit_is_refused(sigma_px: NDArray) -> None:
    with pytest.raises(InputError, match="one finite sigma of 0 or more for each pixel"):
        deblur(np.zeros((4, 3, 3)), sigma_px)


def test_a_prior_out_of_range_is_refused() -> None:
    with pytest.raises(OptionError, match="0 < alpha <= 2"):
        Prior(16.8, 3.0)
    with pytest.raises(OptionError, match="'hard' or 'blend'"):
        deblur(np.zeros((4, 3, 3)), np.zeros((4, 3)), selection="soft")  # type: ignore[arg-type]


def test_one_plane_of_an_odd_size_keeps_its_size() -> None:
    assert deconvolve(np.zeros((7, 13)), gaussian(3.0)).shape == (7, 13)
