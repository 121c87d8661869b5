"""Point spread functions of a lens, in space and as spectra."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from allfocus.simulate.lens import PROFILES, Lens

_OVERSAMPLING = 4
_SMALLEST_PX = 0.25
_MOST_RAYS = 512  # along a side of the pupil


def kernels(lens: Lens, coc_px: float, device: torch.device | None = None) -> Tensor:
    """What the two views, left and right, make of a point, before the Gaussian softening of `softening_px`.

    float32 (2, n, n), n odd, point in the middle; each sums to 1 and is nowhere negative. Coverage is integrated over
    each pixel; a positive radius lies behind the focus plane.
    """
    radius_px = abs(coc_px)
    if lens.oblique and radius_px + lens.stray_px >= _SMALLEST_PX:
        return _traced(lens, coc_px, device)
    if radius_px < _SMALLEST_PX:
        return torch.ones(2, 1, 1, device=device)
    reach = math.ceil(radius_px * PROFILES[lens.profile])
    side = 2 * reach + 1
    fine = (torch.arange(side * _OVERSAMPLING, device=device) + 0.5) / _OVERSAMPLING - side / 2.0
    across = (fine / coc_px)[None, :].expand(len(fine), -1)
    down = (fine / coc_px)[:, None].expand(-1, len(fine))
    light = lens.pupil(across, down, behind=coc_px > 0, sharpness=radius_px * _OVERSAMPLING)
    split = lens.split(across)
    views = torch.stack([light * (1.0 - split), light * (1.0 + split)]).clamp_min_(0.0)
    views = functional.avg_pool2d(views[None], _OVERSAMPLING)[0]
    return views / views.sum(dim=(1, 2), keepdim=True)


def _traced(lens: Lens, coc_px: float, device: torch.device | None) -> Tensor:
    """The same where rays do not land in proportion to where they pass the pupil: a spot diagram."""
    extent = PROFILES[lens.profile]
    reach_px = abs(coc_px) * extent + lens.stray_px * extent**2
    reach = math.ceil(reach_px + 0.5)
    side = (2 * reach + 1) * _OVERSAMPLING
    rays = min(max(math.ceil(4 * reach_px * _OVERSAMPLING), 64), _MOST_RAYS)
    axis = ((torch.arange(rays, device=device) + 0.5) * (2.0 / rays) - 1.0) * extent
    across, down = axis[None, :].expand(rays, -1), axis[:, None].expand(-1, rays)
    within = across**2 + down**2 <= extent**2
    across, down = across[within], down[within]  # (rays,)
    light = lens.pupil(across, down, behind=coc_px > 0, sharpness=rays / (2.0 * extent))
    split = lens.split(across)
    views = torch.stack([light * (1.0 - split), light * (1.0 + split)]).clamp_min_(0.0)
    landed = [place * _OVERSAMPLING + side / 2.0 - 0.5 for place in lens.landing(across, down, coc_px)]
    fine = torch.zeros(2, side * side, device=device)
    (left, right), (top, bottom) = (_shares(place) for place in landed)
    for (column, by_column), (row, by_row) in ((x, y) for x in (left, right) for y in (top, bottom)):
        fine.index_add_(1, row * side + column, views * by_column * by_row)
    spot = functional.avg_pool2d(fine.reshape(1, 2, side, side), _OVERSAMPLING)[0]
    return spot / spot.sum(dim=(1, 2), keepdim=True)


def _shares(place: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The cells on either side of a place, and how much of a ray each gets."""
    first = place.floor()
    second_share = place - first
    return (first.long(), 1.0 - second_share), (first.long() + 1, second_share)


def softening_px(lens: Lens, coc_px: float) -> float:
    """Deviation of the Gaussian that softens a blur: the rim's, and the softness in focus; px."""
    radius_px = abs(coc_px)
    rim_px = lens.edge_px * min(1.0, radius_px) + lens.edge_share * radius_px
    return math.hypot(rim_px, lens.softness_px / 2.0)


def spectra(lens: Lens, coc_px: Sequence[float], canvas_px: int, device: torch.device | None = None) -> Tensor:
    """The kernels of several blur radii, softened, on a square canvas around whose border blur wraps.

    complex64 (len(coc_px), 2, canvas, canvas // 2 + 1), as `torch.fft.rfft2` orders it; left, right.
    """
    planes = torch.zeros(len(coc_px), 2, canvas_px, canvas_px, device=device)
    for plane, radius in zip(planes, coc_px, strict=True):
        views = kernels(lens, radius, device)
        side = views.shape[-1]
        reach = side // 2
        plane[:, :side, :side] = views
        plane.copy_(plane.roll((-reach, -reach), dims=(1, 2)))
    transformed = torch.fft.rfft2(planes)
    for plane, radius in zip(transformed, coc_px, strict=True):
        response = _gaussian_response(softening_px(lens, radius), canvas_px, device)
        plane *= response[:, None] * response[None, : canvas_px // 2 + 1]
    return transformed


def _gaussian_response(deviation_px: float, canvas_px: int, device: torch.device | None) -> Tensor:
    """Response of a Gaussian integrated over pixels, so that the kernel is never negative: float32 (canvas,)."""
    if deviation_px < 1e-3:
        return torch.ones(canvas_px, device=device)
    reach = math.ceil(4.0 * deviation_px) + 1
    edges = (torch.arange(2 * reach + 2, device=device) - reach - 0.5) / (deviation_px * math.sqrt(2.0))
    taps = torch.diff(torch.erf(edges)) / 2.0
    taps = taps[reach:] / taps.sum()
    phase = torch.arange(canvas_px, device=device)[:, None] * (2.0 * math.pi / canvas_px)
    weights = torch.cat([taps[:1], 2.0 * taps[1:]])
    return (weights * torch.cos(phase * torch.arange(reach + 1, device=device))).sum(dim=1)
