"""DMENet's defocus map; the network is in nets/dmenet.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.baselines.networks import map_dmenet
from allfocus.baselines.progress import Progress, span
from allfocus.checkpoints.baseline import load_dmenet

PEAK_PX = 7.0
"""The largest sigma that the method reports, px."""


def blur_map(rgb: NDArray, weights: Path, progress: Progress | None = None) -> NDArray[np.float32]:
    """Defocus map of a photo.

    Args:
        rgb: (H, W, 3) display-referred, in [0, 1].
        weights: as published (.npz) or trained here (.safetensors).
        progress: called with the share done.

    Returns:
        (H, W) float32, standard deviation of the Gaussian blur in px, in [0, 7].

    Raises:
        WeightsError: the file cannot be read.
    """
    report = span(progress, 0.0, 1.0)
    report(0.0, "network")
    sigma_px = map_dmenet(load_dmenet(weights), rgb)
    report(1.0, "network")
    return sigma_px
