"""What every task has: the network that is shipped, what it needs of a sample, its losses and its scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from allfocus.data.batch import Batch

Distance = Callable[[np.ndarray, np.ndarray], float]
"""A perceptual distance of two photos, as `metrics.lpips.LPIPS`."""


@dataclass(frozen=True)
class Scene:
    """A whole photo to be scored on: arrays (H, W, 3) float32 in [0, 1].

    Attributes:
        source: the defocused photo.
        target: the sharp one.
        left, right: its dual-pixel views, or None.
        coc_px: (H, W) float32 signed blur radius, NaN where unknown, or None.
        groups: subsets that it belongs to.
    """

    source: np.ndarray
    target: np.ndarray
    left: np.ndarray | None = None
    right: np.ndarray | None = None
    coc_px: np.ndarray | None = None
    groups: tuple[str, ...] = field(default=())


class Task(nn.Module, ABC):
    """A network that is trained, with whatever stands beside it while it is.

    Attributes:
        net: what is averaged, validated and shipped.
        needs: which of "coc", "left" and "right" a sample must have.
    """

    net: nn.Module
    needs: frozenset[str]

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss by the names of `LossWeights`, only those that count; unweighted means."""

    def filled(self) -> None:
        """Called once the network has been given the weights of another run or model."""

    @abstractmethod
    def picture(self, net: Any, batch: Batch) -> Tensor:
        """What the network makes of a batch, to be looked at: (B, 3, H, W) in [0, 1]."""

    @abstractmethod
    def score(self, net: Any, scene: Scene, lpips: Distance | None) -> dict[str, float]:
        """How well a network does on a whole photo."""
