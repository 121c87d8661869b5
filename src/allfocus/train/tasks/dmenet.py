"""DMENet as a regressor of the simulator's blur maps.

The paper's perceptual, binary and adversarial terms are left out: they bridge from synthetic to real photos with data
that we do not have.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.data.batch import Batch
from allfocus.data.pairs import PairImages
from allfocus.errors import DataError
from allfocus.nets.dmenet import LARGEST_COC_PX, DMENet
from allfocus.train.config import LossWeights
from allfocus.train.losses import defocus_map
from allfocus.train.tasks.base import Distance, Task
from allfocus.train.tasks.deblurring import whole


class DMENetTask(Task):
    """A DMENet of any share of the published widths; of the loss, `map` counts, and `auxiliary` for coarser maps."""

    net: DMENet
    needs = frozenset({"coc"})

    def __init__(self, scale: float, loss: LossWeights) -> None:
        super().__init__()
        self.net = DMENet(scale)
        self.loss = loss
        if not loss.auxiliary:
            self.net.auxiliary.requires_grad_(False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Task.forward`."""
        assert batch.coc is not None  # the batches has checked what this task needs
        coc_px, output = batch.coc, self.net(batch.centre)
        terms = {"map": defocus_map(output.defocus.float(), coc_px)}
        if self.loss.auxiliary:
            coarser = [defocus_map(one.float(), coc_px) for one in output.auxiliary]
            terms["auxiliary"] = torch.stack(coarser).sum()
        return terms

    def picture(self, net: DMENet, batch: Batch) -> Tensor:
        """See `Task.picture`; the map as grey values, white for 15 px of diameter."""
        return net(batch.centre).defocus.float().expand(-1, 3, -1, -1)

    def score(self, net: DMENet, scene: PairImages, lpips: Distance | None) -> dict[str, float]:
        """Mean absolute error of the radius in px up to 7.5 px, and the rank correlation, over cells of 8 px.

        Raises:
            DataError: a scene without a map.
        """
        if scene.coc_px is None:
            raise DataError("photos without blur maps to validate a DMENet on", "SynDP", "--validate syndp:DIR")
        height, width = scene.source.shape[:2]
        with torch.inference_mode():
            estimate = net(whole(scene, net).centre).defocus[..., :height, :width].float().cpu()
        largest_px = LARGEST_COC_PX / 2
        radius_px = torch.from_numpy(scene.coc_px)[None, None].abs().clamp(max=largest_px)
        seen, true = (functional.avg_pool2d(values, 8)[0, 0].numpy() for values in (estimate * largest_px, radius_px))
        known = np.isfinite(true)
        if not known.any():
            return {}
        seen, true = seen[known], true[known]
        return {"mae_px": float(np.abs(seen - true).mean()), "spearman": _rank_correlation(seen, true)}


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's, ties sharing their mean rank; 0 where either is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]
