"""Networks that turn a defocused photo into a sharp one: their previews and scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.data.batch import Batch
from allfocus.data.pairs import PairImages
from allfocus.errors import DataError
from allfocus.metrics.psnr import psnr, psnr_fit
from allfocus.metrics.ssim import ssim
from allfocus.train.tasks.base import Distance, Task


class Deblurring(Task):
    """A task whose network gives a sharp picture from 1 or 2 views."""

    views: int

    @abstractmethod
    def sharpen(self, net: Any, batch: Batch) -> Tensor:
        """The network's sharp picture, (B, 3, H, W), not clipped."""

    def picture(self, net: Any, batch: Batch) -> Tensor:
        """See `Task.picture`."""
        return self.sharpen(net, batch).float().clamp(0, 1)

    def score(self, net: Any, scene: PairImages, lpips: Distance | None) -> dict[str, float]:
        """PSNR, PSNR-fit, SSIM and, where its files are, LPIPS."""
        sharp = self.restore(net, scene)
        scores = {
            "psnr": psnr(sharp, scene.target),
            "psnr_fit": psnr_fit(sharp, scene.target),
            "ssim": ssim(sharp, scene.target),
        }
        return scores if lpips is None else {**scores, "lpips": lpips(sharp, scene.target)}

    def restore(self, net: Any, scene: PairImages) -> np.ndarray:
        """A whole photo (H, W, 3) through the network, borders replicated to its multiple, clipped to [0, 1].

        Raises:
            DataError: the network needs dual-pixel views and the scene has none.
        """
        if self.views == 2 and (scene.left is None or scene.right is None):
            raise DataError("photos without dual-pixel views to validate on", "both views", "--validate syndp:DIR")
        height, width = scene.source.shape[:2]
        batch = whole(scene, net)
        with torch.inference_mode():
            return self.picture(net, batch)[0, :, :height, :width].permute(1, 2, 0).cpu().numpy()


def whole(scene: PairImages, net: Any) -> Batch:
    """A scene as a batch of one on the network's device, padded below and right to its multiple."""
    device = next(net.parameters()).device
    height, width = scene.source.shape[:2]
    margin = (0, -width % net.multiple, 0, -height % net.multiple)

    def padded(picture: np.ndarray | None) -> Tensor | None:
        if picture is None:
            return None
        batch = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].to(device)
        return functional.pad(batch, margin, mode="replicate").contiguous(memory_format=torch.channels_last)

    centre = padded(scene.source)
    assert centre is not None
    return Batch(centre, centre, None, padded(scene.left), padded(scene.right))
