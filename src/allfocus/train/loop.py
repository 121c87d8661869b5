"""The training loop: draw a batch, take a step, average the weights, now and then validate and save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import Tensor

from allfocus.atomic_file import make_folder, write_text
from allfocus.data.batch import Batch
from allfocus.data.source import Batches, Source
from allfocus.train.coarse import check_coarse, work_coarsely
from allfocus.train.config import TrainConfig, as_yaml
from allfocus.train.launch import open_fabric
from allfocus.train.record import Record
from allfocus.train.state import TrainState
from allfocus.train.trained_on import TrainedOn

Validate = Callable[[TrainState], dict[str, float]]


def train(
    config: TrainConfig,
    source: Source,
    folder: Path,
    *,
    fabric: Fabric | None = None,
    stop_at: int | None = None,
    validate: Validate | None = None,
    workers: int = 0,
    board: bool = False,
    report: Callable[[str], None] = print,
) -> TrainState:
    """Train to the end, from the last checkpoint in the folder if there is one.

    Args:
        config: the run.
        source: where samples come from.
        folder: checkpoint (``last.pt``), ``config.yaml``, ``trained_on.json``, ``losses.csv`` and ``validation.csv`` go
            here.
        fabric: device and processes; this machine's best device alone if None.
        stop_at: end at this step, on the schedule of the whole run.
        validate: scores the averaged weights.
        workers: processes that prepare batches; 0 prepares them between the steps.
        board: write for TensorBoard too, with pictures.
        report: receives lines for a person.

    Returns:
        The finished state; its averaged weights are what one ships.

    Raises:
        DataError: the source lacks what the losses need, or the folder holds another run.
        TrainingError: 20 steps in a row without finite gradients.
    """
    fabric = fabric or open_fabric(config)
    torch.set_num_threads(config.threads)
    make_folder(folder)
    state = TrainState.resume_or_start(config, fabric, folder)
    check_coarse(config, state.task)
    batches = Batches(
        source, state.task.needs, config.batch, config.patch_at, config.augment, config.seed,
        fabric.global_rank, fabric.world_size,
    )  # fmt: skip
    last = config.steps if stop_at is None else min(stop_at, config.steps)
    record = Record(folder, fabric, config, state.step, last, board, report)
    if fabric.is_global_zero:
        write_text(folder / "config.yaml", as_yaml(config))
        if state.step == 0:
            TrainedOn.of(source, config.starts).write(folder)
    for batch in batches.from_step(state.step, last, workers):
        batch = work_coarsely(batch.to(fabric.device), state, batches.own)
        record.losses(state, training_step(state, batch))
        if state.step % config.save_every == 0 or state.step == last:
            state.save(folder)
        if validate is not None and (state.step % config.validate_every == 0 or state.step == last):
            record.scores(state, validate, batch)
    record.close()
    return state


def training_step(state: TrainState, batch: Batch) -> dict[str, Tensor]:
    """One step: forward, losses, backward and optimiser, weight average.

    Returns:
        The loss terms and their weighted total, before the step.
    """
    config, fabric = state.config, state.fabric
    torch.manual_seed(_of_this_step(config, state.step, fabric.global_rank))  # dropout repeats when a run is resumed
    terms = state.model(batch)
    total = torch.stack([config.loss.weight(name) * term for name, term in terms.items()]).sum()
    fabric.backward(total)
    norm = fabric.clip_gradients(state.model, state.optimiser, max_norm=config.clip_norm, error_if_nonfinite=False)
    finite = bool(norm.isfinite())  # type: ignore[union-attr]
    for group in state.optimiser.param_groups:
        group["lr"] = config.rate_at(state.step) * group["share"]
    # 34 filter passes in a row can overflow on one odd sample: that batch teaches nothing, the weights stay whole
    if finite or scales_gradients(fabric):
        state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.advance(skipped=not finite)
    return {name: term.detach() for name, term in {**terms, "total": total}.items()}


def scales_gradients(fabric: Fabric) -> bool:
    """Whether float16's gradient scaler decides itself which step it takes, and has to see the bad ones to adapt."""
    return getattr(fabric.strategy.precision, "scaler", None) is not None


def _of_this_step(config: TrainConfig, step: int, rank: int) -> int:
    return hash((config.seed, step, rank)) % 2**63
