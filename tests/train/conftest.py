"""A small cache of samples and a small run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from allfocus.data.cache import CacheSpec, SampleCache
from allfocus.train.config import TrainConfig


@pytest.fixture
def cache(tmp_path: Path) -> SampleCache:
    """Eight samples of 64 px: noise, and noise blurred by a box."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "cache"
    folder.mkdir()
    sharp = rng.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    blurred = (sharp.astype(float) + np.roll(sharp, 1, 1) + np.roll(sharp, 1, 2)) / 3
    np.save(folder / "sharp.npy", sharp)
    np.save(folder / "centre.npy", blurred.astype(np.uint8))
    np.save(folder / "coc.npy", np.full((8, 8, 8), 2.0, np.float16))
    spec = CacheSpec(count=8, side_px=64, seed=0, photos="photos", left_out=[], simulator={})
    (folder / "cache.json").write_text(json.dumps(asdict(spec)))
    return SampleCache(folder)


@pytest.fixture
def config() -> TrainConfig:
    """Six steps of the smallest batch, in float32 on one thread."""
    return TrainConfig(
        steps=6, batch=1, patch_px=32, warmup=2, bfloat16=False, threads=1, save_every=3, validate_every=100
    )
