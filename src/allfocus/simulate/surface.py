"""A sharp object in front of the lens; the picture and the map of blur radii composed of several."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Surface:
    """One object, complete behind whatever hides it.

    Attributes:
        rgb_linear: float32 (3, N, N) >= 0, not multiplied by alpha.
        alpha: float32 (N, N) in [0, 1]; None where the surface fills the canvas.
        coc_px: float32 (N, N) signed blur radius, positive behind the focus plane.
    """

    rgb_linear: Tensor
    alpha: Tensor | None
    coc_px: Tensor


def compose(surfaces: tuple[Surface, ...]) -> Tensor:
    """Lay the surfaces (back to front) over one another without blur: float32 (3, N, N), linear light."""
    picture = surfaces[0].rgb_linear
    for surface in surfaces[1:]:
        if surface.alpha is None:
            picture = surface.rgb_linear
        else:
            picture = surface.rgb_linear * surface.alpha + (1.0 - surface.alpha) * picture
    return picture


def visible_coc(surfaces: tuple[Surface, ...]) -> Tensor:
    """Signed blur radius of the nearest surface that covers at least half a pixel: float32 (N, N), px."""
    coc_px = surfaces[0].coc_px
    for surface in surfaces[1:]:
        coc_px = surface.coc_px if surface.alpha is None else torch.where(surface.alpha >= 0.5, surface.coc_px, coc_px)
    return coc_px


def valid_mask(coc_px: Tensor, *, jump_px: float = 0.5) -> Tensor:
    """Where one radius describes the blur: away from its jumps by as much as the blur there reaches.

    A difference between neighbours above `jump_px` is a jump.
    """
    edge = torch.zeros_like(coc_px, dtype=torch.bool)
    down = (coc_px[1:] - coc_px[:-1]).abs() > jump_px
    right = (coc_px[:, 1:] - coc_px[:, :-1]).abs() > jump_px
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    if not bool(edge.any()):
        return ~edge
    radius = functional.max_pool2d(coc_px.abs()[None, None], 3, stride=1, padding=1)[0, 0]
    reach_px = torch.where(edge, radius + 1.0, torch.zeros_like(radius))
    spoiled = edge.clone()
    smaller = 0
    for reach in (2, 4, 8, 16, 32):
        chosen = ((reach_px > smaller) & (reach_px <= reach)).float()
        if bool(chosen.any()):
            wide = functional.max_pool2d(chosen[None, None], (2 * reach + 1, 1), stride=1, padding=(reach, 0))
            wide = functional.max_pool2d(wide, (1, 2 * reach + 1), stride=1, padding=(0, reach))
            spoiled |= wide[0, 0] > 0.0
        smaller = reach
    return ~spoiled
