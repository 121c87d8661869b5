"""Random crops, flips and quarter turns, the same for every picture of a sample."""

from __future__ import annotations

import numpy as np
import torch

from allfocus.data.cache import CELL_PX, SampleCache


def draw_batch(
    cache: SampleCache, size: int, patch_px: int, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw a batch from a cache.

    Args:
        cache: pre-rendered samples.
        size: samples in the batch, drawn with replacement.
        patch_px: side of the crop, a multiple of 16; crops start on the 8 px cells of the map.
        generator: decides everything that is random here.

    Returns:
        centre and sharp (B, 3, P, P) float32 in [0, 1]; coc (B, 1, P/8, P/8) float32 signed px, NaN where unknown.
    """
    centres, sharps, cocs = [], [], []
    for index in generator.integers(0, len(cache), size):
        slack = (cache.centre.shape[1] - patch_px) // CELL_PX
        y, x = generator.integers(0, slack + 1, 2)
        turns, flip = int(generator.integers(4)), bool(generator.integers(2))
        for source, scale, parts in (
            (cache.centre, CELL_PX, centres),
            (cache.sharp, CELL_PX, sharps),
            (cache.coc, 1, cocs),
        ):
            side = patch_px // CELL_PX * scale
            crop = source[index, y * scale : y * scale + side, x * scale : x * scale + side]
            crop = np.rot90(crop[:, ::-1] if flip else crop, turns)
            parts.append(np.ascontiguousarray(crop))
    centre, sharp = (torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2).float() / 255 for parts in (centres, sharps))
    return centre, sharp, torch.from_numpy(np.stack(cocs))[:, None].float()
