"""The learnt baselines on photos: DPDNet as an engine of the pipeline, DMENet whole."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.engine.base import EngineInfo, Estimate, check_inputs
from allfocus.nets.dmenet import DMENet, sigma_px
from allfocus.nets.dpdnet import DPDNet
from allfocus.weights.card import Card

_TILE_PX = 768
_DPDNET_REACH_PX = 144
"""No output of DPDNet depends on a pixel farther away: the sum over its layers is 114 px, plus its grid of 16."""


class DPDNetEngine:
    """DPDNet for the pipeline of `allfocus.restore`, in float32 on the CPU.

    Args:
        net: of one view or two, in evaluation mode.
        name: of the method.
    """

    redone = 0

    def __init__(self, net: DPDNet, name: str) -> None:
        self.net = net
        self.card = Card(
            name,
            architecture={},
            parameters=sum(parameter.numel() for parameter in net.parameters()),
            multiple=net.multiple,
            context_px=_DPDNET_REACH_PX,
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


def map_dmenet(net: DMENet, rgb: NDArray) -> NDArray[np.float32]:
    """Defocus map of a photo, which goes through the network in one piece.

    Args:
        net: the network.
        rgb: (H, W, 3) in [0, 1].

    Returns:
        (H, W) float32 standard deviation of the Gaussian blur, px, in [0, 7].
    """
    height, width = rgb.shape[:2]
    missing = (-height % net.multiple, -width % net.multiple)
    padded = np.pad(rgb.astype(np.float32, copy=False), ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    batch = torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
    with torch.inference_mode():
        estimated = sigma_px(net(batch).defocus)[0, 0].numpy()
    return estimated[:height, :width].copy()
