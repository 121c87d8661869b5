"""The blur that is measured, and the working scales that follow from it."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.errors import OptionError
from allfocus.photo.codecs import decode
from allfocus.scale import CONTEXT_PX, Blur, choose_scales, measure_blur, needs_scale


def blurred_texture(radius_px: float, side: int = 512) -> np.ndarray:
    """Random blocks under a disc blur, by FFT: (side, side, 3) uint8."""
    rng = np.random.default_rng(1)
    sharp = np.kron(rng.uniform(0.1, 0.9, (side // 16, side // 16)), np.ones((16, 16)))
    y, x = np.mgrid[:side, :side] - side // 2
    disc = np.clip(radius_px + 0.5 - np.hypot(y, x), 0, 1)
    spectrum = np.fft.fft2(np.fft.ifftshift(disc / disc.sum()))
    soft = np.fft.ifft2(np.fft.fft2(sharp) * spectrum).real
    return np.rint(np.clip(soft, 0, 1)[..., None].repeat(3, 2) * 255).astype(np.uint8)


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


@pytest.mark.parametrize(
    ("requested", "large_px", "scales"),
    [("auto", 40, (4, 2, 1)), ("auto", 1, (1,)), ("2", 0, (2, 1)), (1, 40, (1,)), (4, 0, (4, 2, 1))],
)
def test_scales(requested: str | int, large_px: float, scales: tuple[int, ...]) -> None:
    assert choose_scales(requested, 6000, 4000, Blur(1.0, large_px, 64)) == scales


def test_small_photos_are_not_reduced_to_nothing() -> None:
    assert choose_scales("4", 100, 70, Blur(9, 9, 1)) == (2, 1)


def test_another_scale_is_refused() -> None:
    with pytest.raises(OptionError, match="scale '3'; expected auto, 1, 2 or 4"):
        choose_scales("3", 100, 100, Blur(1, 1, 1))


def test_a_coarser_scale_has_nothing_to_do_where_the_photo_is_sharp_there() -> None:
    sharp, soft = (blurred_texture(radius, 256) / np.float32(255) for radius in (0.5, 5))
    assert needs_scale(sharp, finest=False).mean() < 0.3  # flat windows count as blurred
    assert needs_scale(soft, finest=False).mean() > 0.95
    both = np.concatenate([sharp[:, :128], soft[:, 128:]], axis=1)
    need = needs_scale(both, finest=False)
    assert need.shape == (256, 256, 1)
    assert need[:, :80].mean() < 0.3
    assert need[:, 176:].mean() > 0.95


def test_the_finest_scale_takes_up_what_coarser_ones_leave_to_it() -> None:
    slight = blurred_texture(0.8, 256) / np.float32(255)
    assert needs_scale(slight, finest=True).mean() > needs_scale(slight, finest=False).mean() + 0.1


def test_fine_texture_in_focus_is_left_alone_at_every_scale() -> None:
    fine = np.random.default_rng(0).uniform(0.2, 0.8, (128, 128, 1)).astype(np.float32).repeat(3, 2)
    assert needs_scale(fine, finest=True).max() < 0.05


def test_need_is_local() -> None:
    picture = blurred_texture(2, 256) / np.float32(255)
    whole = needs_scale(picture, finest=True)
    part = needs_scale(picture[32:224, 64:224], finest=True)
    inside = slice(CONTEXT_PX, -CONTEXT_PX)
    np.testing.assert_allclose(part[inside, inside], whole[32:224, 64:224][inside, inside], atol=1e-5)
