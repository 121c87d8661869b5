"""A sharp object in front of the lens, and the picture that several of them make without blur."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
