"""A small cache of samples, a small run and where it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from lightning.fabric import Fabric

from allfocus.data.cache import CacheSpec, SampleCache
from allfocus.train.config import NetConfig, TrainConfig
from allfocus.train.launch import open_fabric


def write_cache(folder: Path, views: bool = True) -> SampleCache:
    """Eight samples of 64 px: noise, and noise blurred by a box; the views are shifted by a pixel each."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    sharp = rng.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    blurred = ((sharp.astype(float) + np.roll(sharp, 1, 1) + np.roll(sharp, 1, 2)) / 3).astype(np.uint8)
    coc = np.full((8, 8, 8), 2.0, np.float16)
    coc[:, 0, :3] = np.nan
    arrays = {"sharp": sharp, "centre": blurred, "coc": coc}
    if views:
        arrays |= {"left": np.roll(blurred, -1, 2), "right": np.roll(blurred, 1, 2)}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    spec = CacheSpec(count=8, side_px=64, seed=0, photos="photos", left_out=[], simulator={}, views=views)
    (folder / "cache.json").write_text(json.dumps(asdict(spec)))
    return SampleCache(folder)


@pytest.fixture
def cache(tmp_path: Path) -> SampleCache:
    """The small cache, with views."""
    return write_cache(tmp_path / "cache")


@pytest.fixture
def config() -> TrainConfig:
    """Six steps of a tiny network and the smallest batch, in float32 on one thread."""
    return TrainConfig(
        net=NetConfig(width=4, iterations=2),
        steps=6, batch=2, patch_px=32, warmup=2, precision="32-true", threads=1,
        log_every=1, save_every=3, validate_every=100,
    )  # fmt: skip


@pytest.fixture
def fabric() -> Callable[[TrainConfig], Fabric]:
    """Opens one process on the CPU for a run."""
    return lambda config: open_fabric(config, "cpu")
