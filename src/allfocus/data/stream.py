"""Samples rendered during training: no disk, and no sample twice."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from allfocus.data.batch import OPTIONAL, Batch
from allfocus.data.cache import sharp_photos
from allfocus.data.source import Origin
from allfocus.simulate.photos import PhotoPool
from allfocus.simulate.simulator import Simulator, SimulatorConfig

LARGEST_SEED = 2**62


class SimulatedStream:
    """The simulator as a source of samples (`data.source.Source`) of its own side, from a folder of sharp photos.

    It renders on the training device, or on "cpu" for worker processes.
    """

    remedy = "the simulator has everything"
    fields: frozenset[str] = frozenset(OPTIONAL)

    def __init__(
        self,
        photos: Path,
        left_out: Collection[str] = (),
        config: SimulatorConfig | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.config = config or SimulatorConfig()
        self.paths = sharp_photos(photos, left_out)
        self.device = torch.device(device)
        self.name, self.side_px = f"simulated from {photos}", self.config.crop_px
        self.origin = Origin(photos, tuple(left_out), self.config.to_dict())
        self._pool: PhotoPool | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_pool": None}  # a worker opens the photos itself

    def crop(self, rng: np.random.Generator, side_px: int, fields: Collection[str]) -> Batch:
        """Render a sample of this side; see `data.source.Source`."""
        self._pool = self._pool or PhotoPool(self.paths)
        simulator = Simulator(replace(self.config, crop_px=side_px), self._pool, self.device)
        sample = simulator.sample([int(rng.integers(LARGEST_SEED))])
        parts = {name: getattr(sample, name) for name in ("centre", "sharp", *fields) if name != "coc"}
        if "coc" in fields:
            parts["coc"] = torch.where(sample.valid, sample.coc, torch.nan)
        return Batch(**parts)
