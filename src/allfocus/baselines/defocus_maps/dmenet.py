"""DMENet's defocus map; the network is in nets/dmenet.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allfocus.baselines.networks import map_dmenet
from allfocus.baselines.progress import Progress, span
from allfocus.nets.dmenet import DMENet

PEAK_PX = 7.0
"""The largest sigma that the method reports, px."""


def sigma_map(rgb: NDArray, network: DMENet, progress: Progress | None = None) -> NDArray[np.float32]:
    """Defocus map of a photo.

    Args:
        rgb: (H, W, 3) display-referred, in [0, 1].
        network: with its weights (checkpoints.baseline.load_dmenet).
        progress: called with the share done.

    Returns:
        (H, W) float32, standard deviation of the Gaussian blur in px, in [0, 7].
    """
    report = span(progress, 0.0, 1.0)
    report(0.0, "network")
    sigma_px = map_dmenet(network, rgb)
    report(1.0, "network")
    return sigma_px
