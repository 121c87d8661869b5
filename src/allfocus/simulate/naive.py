"""What a simulator without occlusion renders; only here to measure what occlusion is worth."""

from __future__ import annotations

import torch
from torch import Tensor

from allfocus.simulate.lens import Lens
from allfocus.simulate.psf import spectra
from allfocus.simulate.render import level_radii, tents
from allfocus.simulate.surface import Surface, compose
from allfocus.simulate.truth import visible_coc


def gather(surfaces: tuple[Surface, ...], lens: Lens, *, levels: int = 6) -> Tensor:
    """Blur the finished picture by every radius, and let each pixel take the one of its own surface.

    Args:
        surfaces: back to front.
        lens: pupil and split; longitudinal chromatic aberration is left out.
        levels: most tent levels.

    Returns:
        float32 (2, 3, N, N), left and right in linear light, as `render.render` gives; edges of near objects stay hard.
    """
    picture, coc_px = compose(surfaces), visible_coc(surfaces)
    radii = level_radii(float(coc_px.min()), float(coc_px.max()), levels)
    size = coc_px.shape[-1]
    spectrum = torch.fft.rfft2(picture)
    views = torch.zeros(2, *picture.shape, device=picture.device)
    for weight, transfer in zip(tents(coc_px, radii), spectra(lens, radii, size, coc_px.device), strict=True):
        views += weight * torch.fft.irfft2(spectrum * transfer[:, None], s=(size, size))
    return views.clamp_min_(0.0)
