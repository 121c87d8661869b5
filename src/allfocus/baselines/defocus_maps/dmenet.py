"""DMENet's defocus map (Lee et al., CVPR 2019); the network is in nets/dmenet.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from allfocus.baselines.base import Progress, span
from allfocus.baselines.deconvolution import MapBaseline
from allfocus.checkpoints.baseline import load_dmenet
from allfocus.nets.dmenet import DMENet, sigma_px


class DMENetMap(MapBaseline):
    """DMENet, then deconvolution. The photo goes through the network in one piece."""

    peak_sigma_px = 7.0

    def __init__(self, name: str, views: int = 1, weights: Path | None = None) -> None:
        super().__init__(name, views)
        assert weights is not None  # its entry says that it has some
        self.network = load_dmenet(weights)

    @classmethod
    def published_network(cls, views: int = 1) -> DMENet:
        """DMENet at full width."""
        with torch.device("meta"):
            return DMENet()

    def sigma_map(self, rgb: NDArray, progress: Progress | None = None) -> NDArray[np.float32]:
        """See `MapBaseline.sigma_map`."""
        report = span(progress, 0.0, 1.0)
        report(0.0, "network")
        height, width = rgb.shape[:2]
        photo = torch.from_numpy(rgb.astype(np.float32)).permute(2, 0, 1)[None]  # (1, 3, H, W)
        margin = (0, -width % self.network.multiple, 0, -height % self.network.multiple)
        with torch.inference_mode():
            estimated = sigma_px(self.network(functional.pad(photo, margin, mode="replicate")).defocus)
        report(1.0, "network")
        return estimated[0, 0, :height, :width].numpy().copy()
