"""Laws of rendering: energy, focus, occlusion, levels, and what lies behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.simulate.drawings import natural_noise
from allfocus.simulate.lens import Lens
from allfocus.simulate.render import level_radii, render, render_without_occlusion, tents
from allfocus.simulate.sensor import display_from_linear
from allfocus.simulate.surface import Surface, compose

SIZE = 128


def natural_texture(seed: int, size_px: int) -> torch.Tensor:
    """float32 (3, size, size) in [0, 1]."""
    return torch.from_numpy(natural_noise(np.random.default_rng(seed), size_px)).permute(2, 0, 1).contiguous()


def decibel(first: torch.Tensor, second: torch.Tensor, border_px: int = 0) -> float:
    """PSNR without the border, peak 1."""
    inside = slice(border_px, first.shape[-1] - border_px)
    return -10.0 * float(torch.log10(((first - second)[..., inside, inside] ** 2).mean()))


def plane(coc_px: float, size: int = SIZE) -> torch.Tensor:
    return torch.full((size, size), coc_px)


def half(size: int = SIZE) -> torch.Tensor:
    """Coverage of the left half."""
    alpha = torch.zeros(size, size)
    alpha[:, : size // 2] = 1.0
    return alpha


def grey(level: float, size: int = SIZE) -> torch.Tensor:
    return torch.full((3, size, size), level)


def test_in_focus_is_identity() -> None:
    alpha = (natural_texture(3, SIZE)[0] > 0.5).float()
    surfaces = (
        Surface(natural_texture(1, SIZE), None, plane(0.0)),
        Surface(natural_texture(2, SIZE), alpha, plane(0.0)),
    )
    views = render(surfaces, Lens())
    assert float((views - compose(surfaces)).abs().max()) <= 1e-6


@pytest.mark.parametrize("coc_px", [-9.0, 3.5])
def test_centre_does_not_depend_on_the_split(coc_px: float) -> None:
    surfaces = (Surface(natural_texture(1, SIZE), None, plane(coc_px)),)
    left, right = render(surfaces, Lens(kappa=0.8))
    whole = render(surfaces, Lens(kappa=0.0))
    assert torch.allclose((left + right) / 2.0, whole[0], atol=1e-5)
    assert torch.allclose(whole[0], whole[1], atol=1e-6)


def test_sign_exchanges_the_views() -> None:
    texture = natural_texture(1, SIZE)
    behind = render((Surface(texture, None, plane(7.0)),), Lens())
    before = render((Surface(texture, None, plane(-7.0)),), Lens())
    assert torch.equal(behind[0], before[1]) and torch.equal(behind[1], before[0])


def test_a_flat_field_stays_flat_through_focus() -> None:
    ramp = torch.linspace(-12.0, 14.0, SIZE).expand(SIZE, SIZE).contiguous()
    lens = Lens(cats_eye_shift=0.5, field_x=0.5, longitudinal_ca_px=(0.3, -0.2), softness_px=0.5)
    views = render((Surface(grey(0.4), None, ramp),), lens)
    assert float((views - 0.4).abs().max()) <= 1e-5


def test_nothing_bleeds_into_a_sharp_object_before_a_blurred_one() -> None:
    surfaces = (Surface(grey(1.0), None, plane(10.0)), Surface(grey(0.0), half(), plane(0.0)))
    views = render(surfaces, Lens())
    assert float(views[..., : SIZE // 2].abs().max()) <= 1e-6
    assert float((views[..., SIZE // 2 :] - 1.0).abs().max()) <= 1e-5


def test_a_blurred_object_covers_half_at_its_edge_and_nothing_beyond_its_blur() -> None:
    background = natural_texture(1, SIZE)
    centre = render((Surface(background, None, plane(0.0)), Surface(grey(1.0), half(), plane(-8.0))), Lens()).mean(
        dim=0
    )
    flat = render((Surface(grey(0.0), None, plane(0.0)), Surface(grey(1.0), half(), plane(-8.0))), Lens()).mean(dim=0)
    edge = flat[0, SIZE // 2, SIZE // 2 - 1 : SIZE // 2 + 1].mean()
    assert float(edge) == pytest.approx(0.5, abs=0.05)
    untouched = slice(SIZE // 2 + 10, SIZE - 10)
    assert torch.allclose(centre[..., untouched], background[..., untouched], atol=1e-5)


def test_blur_adds_light_not_display_values() -> None:
    edge = half()[None].expand(3, -1, -1)
    centre = render((Surface(edge, None, plane(8.0)),), Lens()).mean(dim=0)
    display = display_from_linear(centre)
    assert float(display[0, SIZE // 2, SIZE // 2 - 1 : SIZE // 2 + 1].mean()) == pytest.approx(0.735, abs=0.01)


def test_six_levels_are_enough_for_a_slanted_plane() -> None:
    ramp = torch.linspace(0.0, 14.0, SIZE)[:, None].expand(SIZE, SIZE).contiguous()
    surfaces = (Surface(natural_texture(1, SIZE), None, ramp),)
    assert decibel(render(surfaces, Lens(), levels=6), render(surfaces, Lens(), levels=24), 16) >= 45.0


def test_a_crop_renders_as_the_same_part_of_the_whole() -> None:
    size, margin = 192, 16
    alpha = (natural_texture(3, size)[0] > 0.55).float()
    whole = (
        Surface(natural_texture(1, size), None, plane(9.0, size)),
        Surface(natural_texture(2, size), alpha, plane(-4.0, size)),
    )
    part = slice(32, 32 + 96)
    crop = tuple(
        Surface(
            one.rgb_linear[:, part, part],
            None if one.alpha is None else one.alpha[part, part],
            one.coc_px[part, part],
        )
        for one in whole
    )
    inner = slice(margin, 96 - margin)
    expected = render(whole, Lens())[..., part, part][..., inner, inner]
    assert torch.allclose(render(crop, Lens())[..., inner, inner], expected, atol=1e-5)


@pytest.mark.parametrize("coc_px", [-10.0, -5.0, 4.0, 8.0, 12.0])
def test_block_matching_finds_the_disparity(coc_px: float) -> None:
    left, right = render((Surface(natural_texture(5, 192), None, plane(coc_px, 192)),), Lens(kappa=0.8))
    shifts = torch.arange(-10, 11)
    costs = torch.stack([((right.roll(-int(shift), dims=-1) - left) ** 2).mean() for shift in shifts])
    best = int(costs.argmin())
    before, at, after = costs[best - 1 : best + 2].tolist()
    found = float(shifts[best]) + (before - after) / (2.0 * (before - 2.0 * at + after))
    assert 1.05 <= found / (0.8 * coc_px / 2.0) <= 1.22


def test_an_empty_outline_changes_nothing() -> None:
    texture = natural_texture(1, 64)
    empty = Surface(grey(1.0, 64), torch.zeros(64, 64), plane(-5.0, 64))
    views = render((Surface(texture, None, plane(0.0, 64)), empty), Lens())
    assert torch.equal(views[0], texture)


def test_gathering_agrees_where_nothing_hides_anything() -> None:
    surfaces = (Surface(natural_texture(1, SIZE), None, plane(6.0)),)
    assert decibel(render_without_occlusion(surfaces, Lens()), render(surfaces, Lens())) > 80.0


def test_gathering_keeps_the_edges_of_near_objects_hard() -> None:
    surfaces = (Surface(grey(0.0), None, plane(0.0)), Surface(grey(1.0), half(), plane(-8.0)))
    row = render_without_occlusion(surfaces, Lens()).mean(dim=0)[0, SIZE // 2]
    assert float(row[SIZE // 2]) < 0.05 < 0.45 < float(row[SIZE // 2 - 1])


@settings(max_examples=50, deadline=None)
@given(low=st.floats(-30.0, 30.0), span=st.floats(0.0, 40.0), most=st.integers(2, 12))
def test_levels_share_every_pixel_out(low: float, span: float, most: int) -> None:
    radii = level_radii(low, low + span, most)
    assert radii == sorted(radii) and len(set(radii)) == len(radii)
    coc_px = torch.linspace(low, low + span, 50)
    weights = torch.stack(tents(coc_px, radii))
    assert float(weights.min()) >= 0.0
    assert torch.allclose(weights.sum(dim=0), torch.ones(50), atol=1e-5)
