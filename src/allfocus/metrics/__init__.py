"""Metrics of a restored photo, with and without a target.

With a target: `psnr`, `psnr_fit`, `psnr_aligned`, `ssim`, `mae`, `lpips.LPIPS`. Without one: `ringing`,
`channel_means`, `reblur_consistency`. Everything is numpy in float64; `psnr_aligned` and `ringing` import scipy when
they are called, LPIPS torch when it is built.
"""

from allfocus.metrics.mae import mae
from allfocus.metrics.pixels import channel_means
from allfocus.metrics.psnr import fit_gain_offset, psnr, psnr_fit
from allfocus.metrics.psnr_aligned import psnr_aligned
from allfocus.metrics.reblur import reblur_consistency
from allfocus.metrics.ringing import ringing
from allfocus.metrics.ssim import ssim

__all__ = [
    "channel_means",
    "fit_gain_offset",
    "mae",
    "psnr",
    "psnr_aligned",
    "psnr_fit",
    "reblur_consistency",
    "ringing",
    "ssim",
]
