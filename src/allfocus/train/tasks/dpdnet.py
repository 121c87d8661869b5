"""DPDNet from one photo or from two views, taught by the distance to the sharp picture alone."""

from __future__ import annotations

import torch
from torch import Tensor

from allfocus.data.batch import Batch
from allfocus.nets.dpdnet import DPDNet, DPDNetSizes
from allfocus.train.config import LossWeights
from allfocus.train.losses import DISTANCES, fourier
from allfocus.train.tasks.deblurring import Deblurring


class DPDNetTask(Deblurring):
    """A DPDNet of any width; of the loss, `deblur`, `distance` (squared in the paper) and `fourier` count."""

    net: DPDNet

    def __init__(self, sizes: DPDNetSizes, loss: LossWeights) -> None:
        super().__init__()
        self.net = DPDNet(sizes)
        self.loss, self.views = loss, sizes.views
        self.needs = frozenset({"left", "right"} if sizes.views == 2 else ())

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Task.forward`."""
        sharp = self.sharpen(self.net, batch).float()
        terms = {"deblur": DISTANCES[self.loss.distance](sharp, batch.sharp)}
        return {**terms, "fourier": fourier(sharp, batch.sharp)} if self.loss.fourier else terms

    def sharpen(self, net: DPDNet, batch: Batch) -> Tensor:
        """See `Deblurring.sharpen`; DPDNet takes the left view first."""
        if net.sizes.views == 1 or batch.left is None or batch.right is None:
            return net(batch.centre)
        return net(batch.centre, torch.cat([batch.left, batch.right], dim=1))
