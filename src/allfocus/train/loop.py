"""The training loop: draw a batch, take a step, average the weights, now and then validate and save."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from allfocus.data.augment import draw_batch
from allfocus.data.cache import SampleCache
from allfocus.nets.ifan import IFAN
from allfocus.train.config import TrainConfig
from allfocus.train.losses import charbonnier, fourier, supervised_disparity
from allfocus.train.state import TrainState

Validate = Callable[[IFAN], dict[str, float]]


def train(
    config: TrainConfig,
    cache: SampleCache,
    folder: Path,
    *,
    start_from: Path | None = None,
    stop_at: int | None = None,
    validate: Validate | None = None,
    report: Callable[[str], None] = print,
) -> TrainState:
    """Train to the end, from the last checkpoint in the folder if there is one.

    Args:
        config: the run.
        cache: pre-rendered samples.
        folder: checkpoint (``last.pt``), ``losses.csv`` and ``validation.csv`` go here.
        start_from: folder of a run whose averaged weights this one starts with, for fine-tuning.
        stop_at: end at this step, on the schedule of the whole run.
        validate: scores the averaged weights.
        report: receives lines for a person.

    Returns:
        The finished state; its averaged weights are what one ships.
    """
    torch.set_num_threads(config.threads)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2))
    state = TrainState.resume_or_start(config, folder, start_from)
    last = config.steps if stop_at is None else min(stop_at, config.steps)
    started, first = time.monotonic(), state.step
    while state.step < last:
        losses = training_step(state, cache)
        if state.step % 50 == 0:
            _append(folder / "losses.csv", {"step": state.step, **losses})
            seconds = (time.monotonic() - started) / (state.step - first)
            left = seconds * (last - state.step) / 60
            terms = " ".join(f"{name} {value:.5f}" for name, value in losses.items())
            report(
                f"step {state.step}/{config.steps}  {terms}  {seconds:.2f} s/step  {left:.0f} min left"
                + (f"  {state.skipped} steps skipped" if state.skipped else "")
            )
        if state.step % config.save_every == 0 or state.step == last:
            state.save(folder)
        if validate is not None and (state.step % config.validate_every == 0 or state.step == last):
            scores = validate(state.averaged)
            _append(folder / "validation.csv", {"step": state.step, **scores})
            report(f"validation at {state.step}: " + " ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    return state


def training_step(state: TrainState, cache: SampleCache) -> dict[str, float]:
    """One optimiser step; the batch depends on the seed and the step only, so a resumed run repeats it exactly.

    Returns:
        The loss terms and the total, as numbers.
    """
    config = state.config
    generator = np.random.default_rng([config.seed, state.step])
    centre, sharp, coc_px = draw_batch(cache, config.batch, config.patch_px, generator)
    centre = centre.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.bfloat16):
        output = state.net(centre)
    terms = {
        "deblur": charbonnier(output.sharp.float(), sharp),
        "fourier": fourier(output.sharp.float(), sharp),
    }
    if output.disparity is not None:  # some ablation networks estimate none
        terms["disparity"] = supervised_disparity(output.disparity.float(), coc_px)
    total = torch.stack([getattr(config.loss, name) * term for name, term in terms.items()]).sum()
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.net.parameters(), config.clip_norm)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(config, state.step)
    # 34 filter passes in a row can overflow on one odd sample: that batch teaches nothing, the weights stay whole
    if norm.isfinite():
        state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.advance(skipped=not norm.isfinite())
    return {name: term.item() for name, term in {**terms, "total": total}.items()}


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def _append(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
