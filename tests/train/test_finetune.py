"""Fine-tuning the shipped weights to a lens that they have not seen helps on photos that neither has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lightning.fabric import Fabric

from allfocus.data.cache import CacheSpec, SampleCache, render_cache
from allfocus.data.pairs import PairImages
from allfocus.metrics.psnr import psnr
from allfocus.simulate.simulator import SimulatorConfig
from allfocus.train.config import TrainConfig
from allfocus.train.loop import train
from allfocus.train.provenance import HELD_OUT
from allfocus.train.recipes import recipe
from allfocus.train.state import TrainState
from allfocus.train.tasks.deblurring import Deblurring

SIDE_PX = 128
LENS = SimulatorConfig.from_dict(
    {
        "crop_px": SIDE_PX,
        "reductions": [1.0, 0.0, 0.0],
        "lens": {"profile": "gaussian", "cats_eye_chance": 0.0, "blades_chance": 0.0, "ring_chance": 0.0},
    }
)
"""Gaussian blur: the lenses that the weights were trained on make discs."""


def samples(folder: Path, photos: Path, left_out: list[str], count: int, seed: int) -> SampleCache:
    spec = CacheSpec(count, SIDE_PX, seed, str(photos), left_out, LENS.to_dict())
    return render_cache(spec, folder, workers=2)


def mean_psnr(state: TrainState, held_out: SampleCache) -> float:
    assert isinstance(state.task, Deblurring)
    scores = []
    for index in range(len(held_out)):
        source, target = (held_out.array(name)[index].astype(np.float32) / 255 for name in ("centre", "sharp"))
        scores.append(psnr(state.task.restore(state.averaged, PairImages(source, target)), target))
    return float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_finetuning_to_a_lens_helps_on_photos_that_nobody_trained_on(
    tmp_path: Path, shared_data: Path, fabric: Callable[[TrainConfig], Fabric]
) -> None:
    photos = shared_data / "sharp"
    ours = HELD_OUT.read_text().split()
    others = [path.name for path in sorted(photos.glob("*.avif")) if path.name not in ours]
    own = samples(tmp_path / "own", photos, ours, 40, 0)
    held_out = samples(tmp_path / "held_out", photos, others, 12, 10_000)
    config = replace(
        recipe("finetune"), steps=80, warmup=10, learning_rate=2e-4, patch_px=96, ema=0.95, log_every=20, threads=1
    )
    before = mean_psnr(TrainState.start(config, fabric(config)), held_out)
    state = train(config, own, tmp_path / "run", fabric=fabric(config))
    after = mean_psnr(state, held_out)
    print(f"PSNR on 12 held-out samples of the new lens: shipped {before:.3f} dB, fine-tuned {after:.3f} dB")
    assert after > before + 0.05
