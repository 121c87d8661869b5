"""The measured reach of a trained network: the context that a tile needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from allfocus.nets.ifan import IFAN

WINDOW_PX = 128
STEP_PX = 16
LARGEST_PX = 192
HALF_A_LEVEL = 0.5 / 255


def measure_reach(net: IFAN, photos: Sequence[np.ndarray], tolerance: float = HALF_A_LEVEL) -> int:
    """The least context in px beyond which no pixel of a window changes by more than the tolerance.

    The residual of a 128 px window in the middle of each photo, seen with 192 px around it, is compared with the
    residual seen with less. What the graph could reach is far more (about 520 px on the 1/8 grid); this is what the
    weights use.

    Args:
        net: the trained network, float32; one of two views sees the photo as both.
        photos: (H, W, 3) float32 in [0, 1], smaller ones than 512 px are continued by their mirror image.
        tolerance: largest change of a value in [0, 1]; half a grey level of 8 bits when left out.

    Returns:
        A multiple of 16 px; `LARGEST_PX` if no smaller context is enough.
    """
    enough = 0
    for photo in map(_continued, photos):
        whole = _residual(net, photo, LARGEST_PX)
        for context in range(LARGEST_PX - STEP_PX, -1, -STEP_PX):
            if np.abs(_residual(net, photo, context) - whole).max() > tolerance:
                enough = max(enough, context + STEP_PX)
                break
    return enough


def _continued(photo: np.ndarray) -> np.ndarray:
    """The photo, mirrored at its right and lower edge up to the size that the largest context needs."""
    side = WINDOW_PX + 2 * LARGEST_PX
    missing = [(0, max(0, side - length)) for length in photo.shape[:2]]
    return np.pad(photo, (*missing, (0, 0)), mode="symmetric")


def _residual(net: IFAN, photo: np.ndarray, context: int) -> np.ndarray:
    top, left = ((length - WINDOW_PX) // 2 // STEP_PX * STEP_PX for length in photo.shape[:2])
    seen = photo[top - context : top + WINDOW_PX + context, left - context : left + WINDOW_PX + context]
    batch = torch.from_numpy(np.ascontiguousarray(seen)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        residual = net(batch, batch.repeat(1, 2, 1, 1) if net.views == 2 else None).residual[0]
    return residual[:, context : context + WINDOW_PX, context : context + WINDOW_PX].numpy()
