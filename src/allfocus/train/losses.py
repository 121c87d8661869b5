"""The loss terms, each a function of plain tensors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from allfocus.defocus.map import KAPPA
from allfocus.metrics.lpips import LPIPS
from allfocus.nets.dmenet import LARGEST_COC_PX
from allfocus.nets.warp import warp_horizontally


def squared(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error, the paper's distance."""
    return functional.mse_loss(output, target)


def charbonnier(output: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt(difference^2 + epsilon^2): an L1 distance that is smooth at zero (Charbonnier et al., 1994)."""
    return ((output - target).square() + epsilon**2).sqrt().mean()


DISTANCES = {"charbonnier": charbonnier, "squared": squared}


def fourier(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the orthonormal 2-D spectra of (B, C, H, W) pictures."""
    difference = torch.fft.rfft2(output - target, norm="ortho")
    return torch.view_as_real(difference).abs().mean()


def perceptual(lpips: LPIPS, output: Tensor, target: Tensor) -> Tensor:
    """LPIPS-Alex in float32 whatever the network computes in, of (B, 3, H, W) pictures, not clipped.

    A network that was taught by it scores better in LPIPS than it looks.
    """
    with torch.autocast(output.device.type, enabled=False):
        return lpips.distance(output, target)


def supervised_disparity(estimate: Tensor, coc_px: Tensor, cell_px: int, *, sided: bool) -> Tensor:
    """L1 distance of an estimated disparity map to the simulator's; not `sided`, half of it between sizes alone.

    One photo hardly tells what lies before the focus from what lies behind. An estimate that is charged for the sign
    alone shrinks to the middle of both, and its size is what a defocus map shows. A dual-pixel view tells: half a
    pupil blurs to one side before the focus and to the other behind it.

    Args:
        estimate: (B, 1, h, w) disparity in cells of `cell_px` px.
        coc_px: (B, 1, h*j, w*j) signed circle-of-confusion radius in px on a grid j times as fine, NaN where unknown.
        cell_px: side of a cell in px.
        sided: whether the side of the focus can be seen in what was estimated from.

    Returns:
        The mean over the samples of the means over their known cells, in cells; a sample without any counts as 0.
    """
    target, known = pooled(coc_px, coc_px.shape[-1] // estimate.shape[-1])
    target = target * (KAPPA / 2 / cell_px)
    error = (estimate - target).abs()
    if not sided:
        error = 0.5 * (error + (estimate.abs() - target.abs()).abs())
    return _mean_where(known, error)


def _mean_where(known: Tensor, error: Tensor) -> Tensor:
    """The mean over the samples of the means over their known cells; a sample without any counts as 0."""
    return ((error * known).sum(dim=(1, 2, 3)) / known.sum(dim=(1, 2, 3)).clamp(min=1)).mean()


def warped_views(disparity: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Squared error between the left view and the right view warped onto it (IFAN, disparity loss).

    Without mask for occlusions or borders and without smoothness, as in the paper's code; zeros enter at the borders. A
    positive disparity (B, 1, h, w), in cells, samples the right view further right; the means of views (h, w) are used.
    """
    left, right = (reduced(view, disparity.shape[-2:]) for view in (left, right))
    return functional.mse_loss(warp_horizontally(right, disparity), left)


def reblurred(reblurring: torch.nn.Module, filters: Tensor, sharp: Tensor, centre: Tensor) -> Tensor:
    """Squared error between the photo and the sharp picture blurred again by what the filters say (IFAN).

    The sharp picture is reduced by taking the first pixel of each cell, the photo by the mean of the cell: so the
    paper's code has it, and so the released networks were taught.

    Args:
        reblurring: (sharp, filters) -> blurred, both at the filters' size.
        filters: (B, K, h, w).
        sharp, centre: (B, 3, H, W).
    """
    size = filters.shape[-2:]
    small = functional.interpolate(sharp, size=size, mode="nearest")
    return functional.mse_loss(reblurring(small, filters), reduced(centre, size))


def defocus_map(estimate: Tensor, coc_px: Tensor) -> Tensor:
    """Squared error of a DMENet map, (B, 1, h, w) diameters over 15 px, where the simulator's blur is known.

    The mean over the samples of the means over their known cells, of the coarser grid of the two.
    """
    side = min(estimate.shape[-1], coc_px.shape[-1])
    target, known = pooled(coc_px.abs(), coc_px.shape[-1] // side)
    seen = functional.avg_pool2d(estimate, estimate.shape[-1] // side)
    return _mean_where(known, (seen - (2 * target / LARGEST_COC_PX).clamp(max=1)).square())


def reduced(picture: Tensor, size: torch.Size) -> Tensor:
    """Means over cells: (B, C, h*j, w*j) -> (B, C, h, w)."""
    return functional.interpolate(picture, size=size, mode="area")


def pooled(values: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Means of known values over cells of factor x factor, else 0; and 1.0 where over half is known, else 0."""
    known = values.isfinite().float()
    share = functional.avg_pool2d(known, factor)
    total = functional.avg_pool2d(values.nan_to_num(nan=0.0), factor)
    enough = (share > 0.5).float()
    return total / share.clamp(min=1e-6) * enough, enough
