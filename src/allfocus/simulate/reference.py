"""Exact thin-lens rendering by sampling the aperture: slow, in float64, to test `render` against.

A thin lens forms its picture as the mean of pinhole pictures, one for each point of the aperture. Through the point
(u, v) a surface point with blur radius c appears displaced by c * (u, v), or with coma and astigmatism as
`Lens.landing` says; nearer surfaces hide farther ones in every pinhole picture. Nothing here is shared with the fast
renderer but the definitions of surface and lens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from allfocus.simulate.lens import Lens
from allfocus.simulate.surface import Surface

_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
_SHARPNESS = 1e4
_ITERATIONS = 8


def render(surfaces: tuple[Surface, ...], lens: Lens, *, samples: int = 500) -> Tensor:
    """Render both dual-pixel views, as `render.render` does.

    Args:
        surfaces: back to front; the first must fill the canvas. Beyond the canvas its border is repeated, so a border
            as wide as the largest radius is to be cut off. Radii may vary over a surface by less than 1 px a px.
        lens: pupil and split. What is not geometry is refused: ring, softening, Gaussian profile, chromatic terms.
        samples: points of the aperture (a sunflower over the disc that holds the pupil).

    Returns:
        float64 (2, 3, N, N): left and right in linear light.

    Raises:
        ValueError: a lens with one of the refused terms.
    """
    if lens.ring or lens.edge_px or lens.edge_share or lens.softness_px or lens.profile != "disc":
        raise ValueError("the reference renders geometric pupils only: no ring, softening or Gaussian profile")
    if any(lens.longitudinal_ca_px):
        raise ValueError("the reference renders no chromatic aberration")
    across, down = _sunflower(samples, 1.12 if lens.blades else 1.0)  # polygons reach beyond the unit disc
    light = lens.pupil(across, down, behind=True, sharpness=_SHARPNESS)
    split = lens.split(across)
    weights = torch.stack([light * (1.0 - split), light * (1.0 + split)]).clamp_min(0.0).double()  # (2, samples)
    layers = [_PinholeSurface(surface) for surface in surfaces]
    size = surfaces[0].coc_px.shape[-1]
    views = torch.zeros(2, 3, size, size, dtype=torch.float64)
    for index in range(samples):
        if float(light[index]) > 0.0:
            picture = torch.zeros(())
            for layer in layers:
                seen = layer.through(lens, across[index], down[index])
                picture = seen[:3] + (1.0 - seen[3:]) * picture
            views += weights[:, index, None, None, None] * picture
    return views / weights.sum(dim=1)[:, None, None, None]


def _sunflower(samples: int, reach: float) -> tuple[Tensor, Tensor]:
    """Points spread evenly over a disc of radius `reach`: float64 (samples,) across and down."""
    index = torch.arange(samples, dtype=torch.float64)
    radius = reach * torch.sqrt((index + 0.5) / samples)
    angle = index * _GOLDEN_ANGLE
    return radius * torch.cos(angle), radius * torch.sin(angle)


class _PinholeSurface:
    """One surface, ready to be rendered through any point of the aperture."""

    def __init__(self, surface: Surface) -> None:
        alpha = torch.ones_like(surface.coc_px) if surface.alpha is None else surface.alpha
        self.planes = torch.cat([surface.rgb_linear * alpha, alpha[None]]).double()  # (4, N, N)
        self.coc_px = surface.coc_px.double()
        self.flat = float(self.coc_px.min()) == float(self.coc_px.max())
        axis = torch.arange(self.coc_px.shape[-1], dtype=torch.float64)
        self.rows, self.columns = torch.meshgrid(axis, axis, indexing="ij")

    def through(self, lens: Lens, across: Tensor, down: Tensor) -> Tensor:
        """The surface as it appears through the point (across, down): float64 (4, N, N), premultiplied light, alpha."""
        radius = self.coc_px
        # The point q that appears at p satisfies q + landing(c(q)) = p: a fixed point, since c varies slowly.
        for _ in range(0 if self.flat else _ITERATIONS):
            right, below = lens.landing(across, down, radius)
            radius = _bilinear(self.coc_px[None], self.rows - below, self.columns - right)[0]
        right, below = lens.landing(across, down, radius)
        return _bilinear(self.planes, self.rows - below, self.columns - right)


def _bilinear(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    size = planes.shape[-1]
    grid = torch.stack([columns, rows], dim=-1) * (2.0 / (size - 1)) - 1.0
    return functional.grid_sample(planes[None], grid[None], padding_mode="border", align_corners=True)[0]
