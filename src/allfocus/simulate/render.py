"""Rendering with occlusion: each surface is scattered over its blur, then laid over what lies behind it.

The formulation: every surface is complete behind its occluders; it is split by signed blur radius into tent levels that
sum to one, each level is blurred by its kernel in the Fourier domain, the sum is divided by the equally blurred
weights (so that a flat surface stays flat across a change of radius), and the surfaces are composed back to front,
left and right view apart. The centre view is the mean of both.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from allfocus.simulate.lens import Lens
from allfocus.simulate.psf import spectra
from allfocus.simulate.surface import Surface, compose, visible_coc

_BEND_PX = 6.0


def render(surfaces: tuple[Surface, ...], lens: Lens, *, levels: int = 6, object_levels: int = 3) -> Tensor:
    """Render both dual-pixel views.

    Args:
        surfaces: back to front; the first must fill the canvas. Blur wraps around the border of the canvas, so a border
            as wide as the largest radius is to be cut off.
        lens: pupil, split and aberrations (its lateral and field terms are not applied here).
        levels: most tent levels for a surface that fills the canvas.
        object_levels: most tent levels for a surface with an outline.

    Returns:
        float32 (2, 3, N, N): left and right in linear light; their mean is the centre view.
    """
    views: Tensor | None = None
    for surface in surfaces:
        light, alpha = _scatter(surface, lens, levels if surface.alpha is None else object_levels)
        views = light if views is None or alpha is None else light + (1.0 - alpha) * views
    if views is None:
        raise ValueError("render() needs at least one surface")
    return views.clamp_min(0.0)


def render_without_occlusion(surfaces: tuple[Surface, ...], lens: Lens, *, levels: int = 6) -> Tensor:
    """Blur the finished picture by every radius, and let each pixel take the one of its own surface.

    This is what a simulator without occlusion renders; it is here to measure what occlusion is worth. Edges of near
    objects stay hard; longitudinal chromatic aberration is left out.
    """
    picture, coc_px = compose(surfaces), visible_coc(surfaces)
    radii = level_radii(float(coc_px.min()), float(coc_px.max()), levels)
    size = coc_px.shape[-1]
    spectrum = torch.fft.rfft2(picture)
    views = torch.zeros(2, *picture.shape, device=picture.device)
    for weight, transfer in zip(tents(coc_px, radii), spectra(lens, radii, size, coc_px.device), strict=True):
        views += weight * torch.fft.irfft2(spectrum * transfer[:, None], s=(size, size))
    return views.clamp_min_(0.0)


def level_radii(low_px: float, high_px: float, most: int) -> list[float]:
    """Choose rising signed radii for the tents, closer together near focus; one is zero where focus is in the range.

    The full range from focus to about 14 px takes at most `most`.
    """
    if high_px - low_px < 0.3:
        middle = (low_px + high_px) / 2.0
        return [0.0 if abs(middle) < 0.02 else middle]
    low, high = math.asinh(low_px / _BEND_PX), math.asinh(high_px / _BEND_PX)
    step = math.asinh(14.0 / _BEND_PX) / (most - 1)
    count = max(1, math.ceil((high - low) / step - 0.2))
    radii = [_BEND_PX * math.sinh(low + (high - low) * index / count) for index in range(count + 1)]
    if low_px < 0.0 < high_px:
        nearest = min(range(len(radii)), key=lambda index: abs(radii[index]))
        if abs(radii[nearest]) < 0.3 or 0 < nearest < len(radii) - 1:
            radii[nearest] = 0.0
        else:
            radii = sorted([*radii, 0.0])
    return radii


def tents(coc_px: Tensor, radii: list[float]) -> list[Tensor]:
    """Weights of each level, one tent apiece: they are >= 0 and sum to 1 at every pixel; same shape as `coc_px`."""
    clamped = coc_px.clamp(radii[0], radii[-1])
    weights = []
    for index, radius in enumerate(radii):
        weight = torch.ones_like(clamped)
        if index > 0:
            weight = torch.minimum(weight, (clamped - radii[index - 1]) / (radius - radii[index - 1]))
        if index < len(radii) - 1:
            weight = torch.minimum(weight, (radii[index + 1] - clamped) / (radii[index + 1] - radius))
        weights.append(weight.clamp_min_(0.0))
    return weights


def _scatter(surface: Surface, lens: Lens, most: int) -> tuple[Tensor, Tensor | None]:
    """Blur one surface: premultiplied light (2, 3, N, N) and alpha (2, 1 or 3, N, N) of both views."""
    size = surface.coc_px.shape[-1]
    coc = surface.coc_px[None]
    if any(lens.longitudinal_ca_px):
        red, blue = lens.longitudinal_ca_px
        coc = coc + torch.tensor([red, 0.0, blue], device=coc.device)[:, None, None]
    seen = coc if surface.alpha is None else coc[:, surface.alpha > 0.0]
    if seen.numel() == 0:
        return torch.zeros(2, 3, size, size, device=coc.device), torch.zeros(2, 1, size, size, device=coc.device)
    radii = level_radii(float(seen.min()), float(seen.max()), most)
    parts = [surface.rgb_linear]
    if surface.alpha is not None:
        parts = [surface.rgb_linear * surface.alpha, surface.alpha[None]]
    if radii == [0.0] and lens.softness_px == 0.0 and not lens.oblique:
        light = parts[0].expand(2, -1, -1, -1)
        return light, None if surface.alpha is None else parts[1].expand(2, -1, -1, -1)
    transfer = spectra(lens, radii, size, coc.device)
    if len(radii) == 1:
        blurred = _inverse(torch.fft.rfft2(torch.cat(parts)) * transfer[0, :, None], size)
        return blurred[:, :3], None if surface.alpha is None else blurred[:, 3:]
    total: Tensor | None = None
    for weight, (left, right) in zip(tents(coc, radii), transfer, strict=True):
        spectrum = torch.fft.rfft2(torch.cat([part * weight for part in parts] + [weight]))
        if total is None:
            total = torch.stack([spectrum * left, spectrum * right])
        else:
            total[0].addcmul_(spectrum, left)
            total[1].addcmul_(spectrum, right)
    assert total is not None
    blurred = _inverse(total, size)
    weight = blurred[:, -coc.shape[0] :].clamp_min(1e-4)
    light = blurred[:, :3] / weight
    if surface.alpha is None:
        return light, None
    return light, (blurred[:, 3 : 3 + coc.shape[0]] / weight).clamp_(0.0, 1.0)


def _inverse(spectrum: Tensor, size: int) -> Tensor:
    return torch.fft.irfft2(spectrum, s=(size, size))
