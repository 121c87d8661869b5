"""DPDNet (Abuolaim and Brown, ECCV 2020) as a baseline; the network is in nets/dpdnet.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.baselines.base import Baseline, BaselineOptions, BaselineResult, Progress, span
from allfocus.checkpoints.baseline import load_dpdnet
from allfocus.engine.base import EngineInfo, Estimate, check_inputs
from allfocus.nets.dpdnet import DPDNet, sizes
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.restore import Settings, Views, finish, restore
from allfocus.weights.card import Card

_TILE_PX = 768


class DPDNetEngine:
    """DPDNet for the pipeline of `allfocus.restore`, in evaluation mode and float32 on the CPU."""

    redone = 0

    def __init__(self, net: DPDNet, name: str) -> None:
        self.net = net
        self.card = Card(
            name,
            architecture={},
            parameters=sum(parameter.numel() for parameter in net.parameters()),
            multiple=net.multiple,
            context_px=net.reach_px,
            sha256="",
            licence="",
            views=net.sizes.views,
            outputs=("residual",),
            tile_px=_TILE_PX,
        )

    @property
    def info(self) -> EngineInfo:
        """What runs, and where."""
        return EngineInfo("torch", "cpu", "float32", self.card.name, torch.get_num_threads())

    def run(self, batch: NDArray[np.float32], pair: NDArray[np.float32] | None = None) -> Estimate:
        """What the network's picture adds to the photo; see `Engine.run`."""
        arrays = [torch.from_numpy(array) for array in check_inputs(self.card, batch, pair)]
        if pair is not None:
            arrays[1] = arrays[1].roll(3, dims=1)  # right, left -> left, right
        with torch.inference_mode():
            return Estimate((self.net(*arrays) - arrays[0]).numpy(), None)


class DPDNetBaseline(Baseline):
    """DPDNet through the pipeline of `allfocus.restore`: the photo, or its left and right view."""

    def __init__(self, name: str, views: int = 1, weights: Path | None = None) -> None:
        super().__init__(name, views)
        assert weights is not None  # its entry says that it has some
        self.network = load_dpdnet(weights, views)
        self.engine = DPDNetEngine(self.network, name)

    @classmethod
    def published_network(cls, views: int = 1) -> DPDNet:
        """The large DPDNet, the one that the IFAN paper compares with."""
        with torch.device("meta"):
            return DPDNet(sizes("large", views))

    def sharpen(self, rgb: NDArray[np.float32], options: BaselineOptions, progress: Progress | None) -> BaselineResult:
        """See `Baseline.sharpen`."""
        photo, *pair = (decode(np.asarray(picture, np.float32)) for picture in (rgb, *(options.views or ())))
        report = span(progress, 0.0, 1.0)
        views = Views(*pair) if pair and self.views > 1 else None
        steps = restore(photo, self.engine, self.engine.card, Settings(scale=1, gated=options.gated), views)
        with finish(steps, lambda step: report(step.done / step.total, "network")).canvas as canvas:
            return BaselineResult(canvas.read(Box(0, 0, canvas.width, canvas.height)))
