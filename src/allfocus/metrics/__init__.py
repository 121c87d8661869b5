"""How far a restored photo is from its target, and what can be said without one.

With a target: `psnr`, `psnr_fit`, `ssim`, `mae`, `lpips.LPIPS`. Without one: `ringing`, `channel_means`,
`reblur_consistency`. Everything is numpy in float64 but LPIPS, which imports torch when it is built.
"""

from allfocus.metrics.channels import channel_means
from allfocus.metrics.mae import mae
from allfocus.metrics.psnr import fit_gain_offset, psnr, psnr_fit
from allfocus.metrics.reblur import reblur_consistency
from allfocus.metrics.ringing import ringing
from allfocus.metrics.ssim import ssim

__all__ = ["channel_means", "fit_gain_offset", "mae", "psnr", "psnr_fit", "reblur_consistency", "ringing", "ssim"]
