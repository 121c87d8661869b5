"""Samples already restored at half size, as the finer stages of the pipeline see very blurred photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.data.batch import Batch
from allfocus.errors import OptionError
from allfocus.scales import needs_scale
from allfocus.train.config import TrainConfig
from allfocus.train.tasks.base import Task
from allfocus.train.tasks.deblurring import Deblurring

if TYPE_CHECKING:
    from allfocus.train.state import TrainState


def check_coarse(config: TrainConfig, task: Task) -> None:
    """Whether samples can be worked on at half size.

    Raises:
        OptionError: the task makes no sharp pictures, or crops cannot be halved.
    """
    if not config.coarse_chance:
        return
    if not isinstance(task, Deblurring):
        raise OptionError(f"coarse_chance for {config.architecture}", "a deblurring network", "--set coarse_chance=0")
    net: Any = task.net
    multiple = 2 * net.multiple
    odd = [patch for patch in config.patches if patch % multiple]
    if odd:
        raise OptionError(f"coarse crops of {odd[0]} px", f"multiples of {multiple}", f"--set patch_px={multiple * 5}")


def work_coarsely(batch: Batch, state: TrainState, own: range) -> Batch:
    """Let the run's averaged weights restore some samples at half size, as `restore.py` does, and add what they change.

    Args:
        batch: on the training device; its sides fit (`check_coarse`).
        state: gives the chance (`TrainConfig.coarse_chance`), the step and the averaged weights.
        own: numbers of these samples in the batch of all processes.

    Returns:
        The batch with another `centre` in the chosen samples; what is sharp, views and maps stay.
    """
    chance = state.config.coarse_chance
    if not chance:
        return batch
    draws = np.random.default_rng([state.config.seed, state.step]).random(state.config.batch)
    chosen = torch.from_numpy(draws[list(own)] < chance).to(batch.centre.device)
    if not chosen.any():
        return batch
    centre = batch.centre.clone()
    centre[chosen] = _worked_on(Batch(*(None if part is None else part[chosen] for part in batch)), state)  # type: ignore[arg-type]
    return batch._replace(centre=centre)


def _worked_on(batch: Batch, state: TrainState) -> Tensor:
    """The chosen photos plus the enlarged change that half their size asked for: (B, 3, H, W)."""
    pictures = batch._replace(coc=None)
    small = Batch(*(None if part is None else functional.avg_pool2d(part, 2) for part in pictures))  # type: ignore[arg-type]
    with torch.no_grad(), state.fabric.autocast():
        sharp = state.task.picture(state.averaged, small)
    changes = [_stage(*pair) for pair in zip(_pictures(small.centre), _pictures(sharp), strict=True)]
    change = torch.from_numpy(np.stack(changes)).permute(0, 3, 1, 2).to(batch.centre.device)
    return (batch.centre + functional.interpolate(change, scale_factor=2, mode="bilinear")).clamp(0, 1)


def _stage(seen: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """What a stage of the pipeline adds to a photo (h, w, 3) that its network would make into `sharp`."""
    return (sharp - seen) * needs_scale(seen, finest=False)


def _pictures(batch: Tensor) -> np.ndarray:
    return batch.float().permute(0, 2, 3, 1).cpu().numpy()
