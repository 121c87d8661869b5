"""What every task has: the network that is shipped, what it needs of a sample, its losses and its scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from allfocus.data.batch import Batch
from allfocus.data.pairs import PairImages

Distance = Callable[[np.ndarray, np.ndarray], float]
"""A perceptual distance of two photos, as `metrics.lpips.LPIPS`."""


class Task(nn.Module, ABC):
    """A network that is trained, validated and shipped, what trains beside it, and the maps or views that it needs."""

    net: nn.Module
    needs: frozenset[str]

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by the names of `LossWeights`, only those that count; unweighted means."""

    def filled(self) -> None:
        """Called once the network has been given the weights of another run or model."""

    @abstractmethod
    def picture(self, net: Any, batch: Batch) -> Tensor:
        """What the network makes of a batch, for people: (B, 3, H, W) in [0, 1]."""

    @abstractmethod
    def score(self, net: Any, scene: PairImages, lpips: Distance | None) -> dict[str, float]:
        """How well a network does on a whole photo."""
