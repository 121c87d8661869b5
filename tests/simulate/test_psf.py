"""Laws of the point spread functions."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.errors import OptionError
from allfocus.simulate.lens import Lens, LensConfig
from allfocus.simulate.psf import kernels, softening_px, spectra

RADII_PX = (0.0, 0.5, 1.0, 2.5, 6.0, 12.0, 15.0)


def axis(kernel: torch.Tensor) -> torch.Tensor:
    side = kernel.shape[-1]
    return torch.arange(side, dtype=torch.float64) - side // 2


def separation_px(kernel: torch.Tensor) -> float:
    left, right = (kernel.double() * axis(kernel)).sum(dim=(1, 2)).tolist()
    return right - left


@pytest.mark.parametrize("radius_px", RADII_PX)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_energy_is_kept(radius_px: float, sign: float) -> None:
    lens = Lens(edge_px=0.35, edge_share=0.05, softness_px=0.6)
    kernel = kernels(lens, sign * radius_px)
    assert kernel.sum(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    transfer = spectra(lens, [sign * radius_px], 64)
    assert transfer[0, :, 0, 0].real.tolist() == pytest.approx([1.0, 1.0], abs=1e-4)


@pytest.mark.parametrize("kappa", [0.6, 0.8, 1.0])
@pytest.mark.parametrize("radius_px", [2.0, 2.5, 6.0, 12.0, 15.0])
def test_views_are_half_kappa_r_apart(kappa: float, radius_px: float) -> None:
    behind = separation_px(kernels(Lens(kappa=kappa), radius_px))
    before = separation_px(kernels(Lens(kappa=kappa), -radius_px))
    assert behind == pytest.approx(kappa * radius_px / 2.0, rel=0.03)  # positive: further left in the left view
    assert before == pytest.approx(-kappa * radius_px / 2.0, rel=0.03)


def test_soft_step_keeps_the_centroid() -> None:
    for gain in (1.0, 3.0):
        assert separation_px(kernels(Lens(kappa=0.6, tanh_gain=gain), 10.0)) == pytest.approx(3.0, rel=0.04)


@pytest.mark.parametrize("radius_px", RADII_PX)
def test_sign_exchanges_the_views_of_a_symmetric_pupil(radius_px: float) -> None:
    behind, before = kernels(Lens(), radius_px), kernels(Lens(), -radius_px)
    assert torch.equal(behind[0], before[1]) and torch.equal(behind[1], before[0])


def test_blur_before_focus_is_the_pupil_turned_by_half() -> None:
    lens = Lens(blades=5, blades_curvature=0.3, blades_rotation=0.4, cats_eye_shift=0.5, field_x=0.6, field_y=-0.3)
    behind, before = kernels(lens, 9.0), kernels(lens, -9.0)
    assert torch.allclose(behind.flip(1, 2), before, atol=1e-6)


@pytest.mark.parametrize("radius_px", [2.5, 6.0, 12.0, 15.0])
def test_disc_has_deviation_half_its_radius(radius_px: float) -> None:
    kernel = kernels(Lens(), radius_px).mean(dim=0).double()
    down = math.sqrt(float((kernel * axis(kernel)[:, None] ** 2).sum()))
    assert down == pytest.approx(radius_px / 2.0, rel=0.05)


def test_gaussian_profile_has_the_same_deviation() -> None:
    kernel = kernels(Lens(profile="gaussian"), 8.0).mean(dim=0).double()
    assert math.sqrt(float((kernel * axis(kernel)[:, None] ** 2).sum())) == pytest.approx(4.0, rel=0.02)
    with pytest.raises(OptionError, match="'disc'"):
        LensConfig(profile="square")


def test_disc_is_flat_and_has_the_area_of_its_radius() -> None:
    kernel = kernels(Lens(), 12.0).mean(dim=0)
    inner = kernel[25 // 2 - 5 : 25 // 2 + 6, 25 // 2 - 5 : 25 // 2 + 6]
    assert float(inner.std() / inner.mean()) < 1e-4
    assert 1.0 / float(inner.mean()) == pytest.approx(math.pi * 144.0, rel=0.01)


def test_polygon_has_the_area_of_the_disc() -> None:
    for blades in (5, 6, 9):
        kernel = kernels(Lens(blades=blades, blades_curvature=0.0), 12.0).mean(dim=0)
        assert float((kernel > 0.5 * kernel.max()).sum()) == pytest.approx(math.pi * 144.0, rel=0.03)


def test_ring_flips_with_the_side_of_focus() -> None:
    lens = Lens(ring=0.4)
    for coc_px, rim_is_brighter in ((12.0, True), (-12.0, False)):
        kernel = kernels(lens, coc_px).mean(dim=0)
        middle = kernel.shape[-1] // 2
        assert (float(kernel[middle, middle + 10]) > float(kernel[middle, middle])) is rim_is_brighter


def test_cats_eye_grows_with_the_field() -> None:
    areas = [
        float((kernels(Lens(cats_eye_shift=0.6, field_x=field), 12.0).mean(dim=0) > 1e-5).sum())
        for field in (0.0, 0.4, 0.8)
    ]
    assert areas[0] > areas[1] > areas[2]


def test_softening_adds_in_quadrature() -> None:
    lens = Lens(edge_px=0.3, edge_share=0.1, softness_px=2.0)
    assert softening_px(lens, 0.0) == pytest.approx(1.0)
    assert softening_px(lens, 10.0) == pytest.approx(math.hypot(1.3, 1.0))


@settings(max_examples=25, deadline=None)
@given(
    coc_px=st.floats(-20.0, 20.0),
    kappa=st.floats(0.0, 1.0),
    blades=st.sampled_from([0, 5, 8]),
    ring=st.floats(-0.4, 0.4),
    shift=st.floats(0.0, 0.7),
    field=st.floats(-0.8, 0.8),
)
def test_any_kernel_is_a_distribution(
    coc_px: float, kappa: float, blades: int, ring: float, shift: float, field: float
) -> None:
    lens = Lens(kappa=kappa, blades=blades, blades_curvature=0.5, ring=ring, cats_eye_shift=shift, field_x=field)
    kernel = kernels(lens, coc_px)
    assert kernel.shape[-1] % 2 == 1
    assert float(kernel.min()) >= 0.0
    assert kernel.sum(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0], abs=1e-4)


OBLIQUE = Lens(field_x=0.6, field_y=-0.3, coma_px=3.0, astigmatism_px=-2.0)


@pytest.mark.parametrize("profile", ["disc", "gaussian"])
@pytest.mark.parametrize("coc_px", [-9.0, -1.0, 0.0, 0.5, 6.0, 15.0])
def test_oblique_light_is_kept_and_stays_where_it_is_on_average(coc_px: float, profile: str) -> None:
    """Coma moves no centre of gravity, and neither loses light, however large."""
    views = kernels(dataclasses.replace(OBLIQUE, coma_px=12.0, profile=profile), coc_px).double()
    assert views.sum(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert float(views.min()) >= 0.0
    centre = views.mean(dim=0)
    place = float((centre * axis(centre)).sum()), float((centre * axis(centre)[:, None]).sum())
    if profile == "disc":
        assert place == pytest.approx((0.0, 0.0), abs=0.05)


def test_without_field_or_aberration_rays_land_where_the_disc_lies() -> None:
    """Traced rays and the drawn pupil are two ways to one kernel; a hardly visible coma takes the first."""
    shape = {"blades": 6, "blades_curvature": 0.3, "field_x": 0.6, "field_y": -0.3, "cats_eye_shift": 0.5}
    for coc_px in (-7.0, 2.5, 12.0):
        drawn, traced = kernels(Lens(**shape), coc_px), kernels(Lens(**shape, coma_px=1e-4), coc_px)
        reach = min(drawn.shape[-1], traced.shape[-1]) // 2
        middles = [one.shape[-1] // 2 for one in (drawn, traced)]
        inside = [slice(middle - reach, middle + reach + 1) for middle in middles]
        first, second = drawn[:, inside[0], inside[0]], traced[:, inside[1], inside[1]]
        assert float((first - second).abs().sum(dim=(1, 2)).max()) < 0.05
    assert torch.equal(kernels(Lens(coma_px=3.0, astigmatism_px=2.0), 6.0), kernels(Lens(), 6.0))


def test_astigmatism_stretches_blur_behind_across_and_blur_before_along() -> None:
    lens = Lens(field_x=0.8, astigmatism_px=2.0)
    for coc_px, wanted in ((6.0, (6.0 - 1.28, 6.0 + 1.28)), (-6.0, (6.0 + 1.28, 6.0 - 1.28))):
        kernel = kernels(lens, coc_px).mean(dim=0).double()
        along = 2 * math.sqrt(float((kernel * axis(kernel) ** 2).sum()))
        across = 2 * math.sqrt(float((kernel * axis(kernel)[:, None] ** 2).sum()))
        assert (along, across) == pytest.approx(wanted, abs=0.1)


def test_coma_of_a_point_in_focus_is_a_flare_of_its_length_and_two_thirds_of_it_wide() -> None:
    kernel = kernels(Lens(field_y=0.5, coma_px=12.0), 0.0).mean(dim=0)
    rows, columns = torch.nonzero(kernel > 1e-4, as_tuple=True)
    assert int(rows.max() - rows.min()) == pytest.approx(6, abs=1)  # 12 px at the corner, half way there
    assert int(columns.max() - columns.min()) == pytest.approx(4, abs=1)
    assert int(kernel.argmax()) // kernel.shape[-1] < kernel.shape[-1] // 2  # its tip points at the middle
