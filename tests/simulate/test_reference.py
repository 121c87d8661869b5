"""The renderer against exact aperture sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allfocus.simulate import reference
from allfocus.simulate.drawings import natural_noise
from allfocus.simulate.lens import Lens
from allfocus.simulate.render import render
from allfocus.simulate.surface import Surface, compose

SIZE, BORDER_PX = 112, 17
SAMPLES = 320


def natural_texture(seed: int, size_px: int) -> torch.Tensor:
    """float32 (3, size, size) in [0, 1]."""
    return torch.from_numpy(natural_noise(np.random.default_rng(seed), size_px)).permute(2, 0, 1).contiguous()


def decibel(first: torch.Tensor, second: torch.Tensor, border_px: int = 0) -> float:
    """PSNR without the border, peak 1."""
    inside = slice(border_px, first.shape[-1] - border_px)
    return -10.0 * float(torch.log10(((first - second)[..., inside, inside] ** 2).mean()))


def disc(across: float, down: float, radius_px: float) -> torch.Tensor:
    axis = torch.arange(SIZE) - (SIZE - 1) / 2.0
    return (radius_px - torch.hypot(axis[None] - across, axis[:, None] - down) + 0.5).clamp(0.0, 1.0)


def scene(*parts: tuple[float, torch.Tensor | None]) -> tuple[Surface, ...]:
    """Surfaces of natural texture at these radii and with these outlines."""
    return tuple(
        Surface(natural_texture(seed, SIZE) ** 2.2, alpha, torch.full((SIZE, SIZE), coc_px))
        for seed, (coc_px, alpha) in enumerate(parts)
    )


LARGE, SMALL = disc(-8.0, 4.0, 26.0), disc(16.0, -10.0, 16.0)
SCENES = {
    "sharp before blurred": scene((12.0, None), (0.0, LARGE)),
    "blurred before sharp": scene((0.0, None), (-12.0, LARGE)),
    "behind, sharp, before": scene((8.0, None), (0.0, LARGE), (-8.0, SMALL)),
    "two behind, one before": scene((14.0, None), (7.0, LARGE), (-3.0, SMALL)),
}


@pytest.mark.parametrize("name", SCENES)
def test_agrees_with_the_reference(name: str) -> None:
    exact = reference.render(SCENES[name], Lens(kappa=0.8), samples=SAMPLES)
    fast = render(SCENES[name], Lens(kappa=0.8))
    assert decibel(fast.mean(dim=0), exact.mean(dim=0), BORDER_PX) >= 40.0
    for view in (0, 1):
        assert decibel(fast[view], exact[view], BORDER_PX) >= 38.0


def test_agrees_with_the_reference_where_light_is_oblique() -> None:
    lens = Lens(kappa=0.8, field_x=0.5, field_y=0.6, coma_px=4.0, astigmatism_px=2.0)
    exact = reference.render(SCENES["behind, sharp, before"], lens, samples=SAMPLES)
    fast = render(SCENES["behind, sharp, before"], lens)
    assert decibel(fast.mean(dim=0), exact.mean(dim=0), BORDER_PX) >= 40.0
    straight = render(SCENES["behind, sharp, before"], Lens(kappa=0.8))
    assert decibel(straight.mean(dim=0), exact.mean(dim=0), BORDER_PX) < 36.0


def test_agrees_on_a_slanted_plane_through_a_cats_eye() -> None:
    ramp = torch.linspace(-2.0, 10.0, SIZE)[:, None].expand(SIZE, SIZE).contiguous()
    lens = Lens(kappa=0.8, blades=6, blades_curvature=0.4, cats_eye_shift=0.5, field_x=0.5, field_y=0.3)
    surfaces = (Surface(natural_texture(4, SIZE) ** 2.2, None, ramp),)
    exact = reference.render(surfaces, lens, samples=200)
    assert decibel(render(surfaces, lens, levels=8), exact, BORDER_PX) >= 38.0


def test_the_reference_keeps_focus_and_flat_fields() -> None:
    surfaces = scene((0.0, None), (0.0, LARGE))
    views = reference.render(surfaces, Lens(), samples=16)
    assert torch.allclose(views, compose(surfaces).double(), atol=1e-6)
    ramp = torch.linspace(-9.0, 9.0, SIZE).expand(SIZE, SIZE).contiguous()
    flat = reference.render((Surface(torch.full((3, SIZE, SIZE), 0.3), None, ramp),), Lens(), samples=16)
    assert torch.allclose(flat, torch.full_like(flat, 0.3), atol=1e-6)


@pytest.mark.parametrize("lens", [Lens(ring=0.2), Lens(edge_px=0.3), Lens(profile="gaussian"), Lens(softness_px=1.0)])
def test_the_reference_refuses_what_is_not_geometry(lens: Lens) -> None:
    with pytest.raises(ValueError, match="geometric"):
        reference.render(SCENES["sharp before blurred"], lens)
