"""The learnt baselines on whole photos: padding, tiles, channel order."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.baselines.progress import Progress
from allfocus.nets.dmenet import DMENet, sigma_px
from allfocus.nets.dpdnet import DPDNet
from allfocus.photo.tiling import plan

_TILE_PX = 768
_DPDNET_REACH_PX = 144
"""No output of DPDNet depends on a pixel farther away: the sum over its layers is 114 px, plus its grid of 16."""


def restore_dpdnet(
    net: DPDNet, views: list[NDArray], progress: Progress | None = None, tile_px: int = _TILE_PX
) -> NDArray[np.float32]:
    """Deblur a photo, tile by tile; the tiles see enough around them for the result of the whole photo.

    Args:
        net: of as many views as are given.
        views: the photo, or the left and the right view: (H, W, 3) RGB in [0, 1] each.
        progress: called with the share done.
        tile_px: side of what the network sees at once.

    Returns:
        (H, W, 3) float32 RGB in [0, 1].
    """
    stacked = np.concatenate(views, axis=2).astype(np.float32, copy=False)  # (H, W, 3 or 6)
    height, width = stacked.shape[:2]
    tiles = plan(width, height, side=tile_px, halo=_DPDNET_REACH_PX, overlap=0, multiple=net.multiple).tiles
    result = np.empty((height, width, 3), dtype=np.float32)
    for done, tile in enumerate(tiles):
        source, target = tile.source, tile.target
        seen = stacked[source.y : source.y + source.height, source.x : source.x + source.width]
        missing = (source.height - seen.shape[0], source.width - seen.shape[1])
        seen = np.pad(seen, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        batch = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)[None]))
        with torch.inference_mode():
            sharp = net(batch[:, :3], batch if len(views) > 1 else None)[0].permute(1, 2, 0).numpy()
        y, x = target.y - source.y, target.x - source.x
        rows, columns = slice(target.y, target.y + target.height), slice(target.x, target.x + target.width)
        result[rows, columns] = sharp[y : y + target.height, x : x + target.width]
        if progress is not None:
            progress((done + 1) / len(tiles), "network")
    return result


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
