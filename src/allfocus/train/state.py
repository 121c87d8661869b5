"""What a training run is at one step: weights, averaged weights, optimiser, step. Saved whole, resumed exactly.

No state of a random generator is stored: `loop.training_step` seeds each step by (seed, step, rank), and
`data.source.Batches` each sample by (seed, step, sample).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from allfocus.atomic_file import AtomicFile
from allfocus.errors import DataError, OptionError, TrainingError
from allfocus.nets.ifan import IFAN
from allfocus.nets.inherit import can_inherit, inherit
from allfocus.train.config import TrainConfig
from allfocus.train.muon import Muon
from allfocus.train.tasks.base import Task
from allfocus.train.tasks.registry import build

if TYPE_CHECKING:
    from lightning.fabric import Fabric

CHECKPOINT = "last.pt"
MOST_SKIPPED = 20
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": lambda taught, config: torch.optim.AdamW(
        taught, config.learning_rate, weight_decay=config.weight_decay, fused=_fused(config)
    ),
    "radam": lambda taught, config: torch.optim.RAdam(
        taught, config.learning_rate, weight_decay=config.weight_decay, decoupled_weight_decay=True
    ),
    "adam": lambda taught, config: torch.optim.Adam(taught, config.learning_rate, fused=_fused(config)),
    "muon": lambda taught, config: Muon(
        taught, config.learning_rate, weight_decay=config.weight_decay, fused=_fused(config)
    ),
}


@dataclass
class TrainState:
    """The state of a run; `advance` counts a step and moves the averaged weights.

    Attributes:
        config: the run.
        fabric: where it runs: device, precision, processes.
        task: what is trained, and the losses that teach it.
        model: the same as the processes share it; this is called.
        averaged: exponential moving average of the task's network, what is validated and shipped.
        optimiser: of everything that the task trains, wrapped by Fabric.
        step: steps done.
        skipped: steps whose gradients were not finite; they left the weights alone.
        skipped_in_a_row: the latest of them.
    """

    config: TrainConfig
    fabric: Fabric
    task: Task
    model: nn.Module
    averaged: nn.Module
    optimiser: Any
    step: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0

    @classmethod
    def start(cls, config: TrainConfig, fabric: Fabric) -> TrainState:
        """Step 0: weights from the seed, or from `config.start_from`. OptionError: that start is of another network."""
        torch.manual_seed(config.seed)
        task = build(config)
        if config.starts:
            others = [copy.deepcopy(task.net) for _ in config.starts[1:]]
            for net, first in zip((task.net, *others), config.starts, strict=True):
                fill(net, first)
            if others:
                average(task.net, others, 1 / len(config.starts))
            if config.start_gain != 1.0:
                task.net.scale_residual(config.start_gain)  # type: ignore[operator]
            task.filled()
        task = task.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = OPTIMISERS[config.optimiser](_groups(task, config), config)
        averaged = copy.deepcopy(task.net).requires_grad_(False).eval()
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(task)  # exchanges the layers inside
        model, shared = fabric.setup(task, optimiser)  # type: ignore[misc]
        return cls(config, fabric, task, model, averaged, shared)

    @classmethod
    def resume_or_start(cls, config: TrainConfig, fabric: Fabric, folder: Path) -> TrainState:
        """The run's last checkpoint in the folder, or step 0 (see `start`).

        Raises:
            DataError: if the checkpoint belongs to another configuration.
        """
        path = folder / CHECKPOINT
        if not path.exists():
            return cls.start(config, fabric)
        saved = torch.load(path, weights_only=True, map_location="cpu")
        differing = config.difference(TrainConfig.from_dict(saved["config"]))
        if differing:
            raise DataError(
                f"{path} was written by a run with other values of {', '.join(differing)}",
                "the same configuration, to resume",
                "another output folder, or the old configuration",
            )
        state = cls.start(replace(config, start_from=None), fabric)
        state.config = config
        state.task.load_state_dict(saved["task"])
        state.averaged.load_state_dict(saved["averaged"])
        state.optimiser.load_state_dict(saved["optimiser"])
        fabric.strategy.precision.load_state_dict(saved["precision"])
        state.step, state.skipped, state.skipped_in_a_row = saved["step"], saved["skipped"], saved["skipped_in_a_row"]
        return state

    def save(self, folder: Path) -> None:
        """Replace the checkpoint, whole or not at all; the first process does."""
        if not self.fabric.is_global_zero:
            return
        saved = {
            "config": self.config.to_dict(),
            "task": self.task.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "step": self.step,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
        }
        with AtomicFile(folder / CHECKPOINT, overwrite=True) as file:
            torch.save(saved, file.temporary)

    def advance(self, *, skipped: bool = False) -> None:
        """Count a step and move the averaged weights towards the new ones (faster in the first steps).

        A skipped step's gradients were not finite and moved nothing; TrainingError: 20 such steps in a row.
        """
        self.step += 1
        if skipped:
            self.skipped += 1
            self.skipped_in_a_row += 1
            if self.skipped_in_a_row >= MOST_SKIPPED:
                raise TrainingError(
                    f"{self.skipped_in_a_row} steps in a row without finite gradients, up to step {self.step}",
                    "finite gradients",
                    "a lower learning_rate, from the last checkpoint or in a new folder",
                )
            return
        self.skipped_in_a_row = 0
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for ours, theirs in zip(self.averaged.parameters(), self.task.net.parameters(), strict=True):
                ours.lerp_(theirs, 1 - decay)
            for ours, theirs in zip(self.averaged.buffers(), self.task.net.buffers(), strict=True):
                ours.copy_(theirs)


def load_averaged(folder: Path) -> tuple[TrainConfig, Any, int]:
    """Configuration, averaged weights (float32, evaluation mode) and step of a run's last checkpoint.

    DataError: the folder has none.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise DataError(f"no {CHECKPOINT} in {folder}", "the folder of a run", "allfocus train -o DIR first")
    saved = torch.load(path, weights_only=True, map_location="cpu")
    config = TrainConfig.from_dict(saved["config"])
    net = build(config).net
    net.load_state_dict(saved["averaged"])
    return config, net.eval(), saved["step"]


def fill(net: nn.Module, first: str) -> None:
    """Give a network the averaged weights of a run, or those of a model, by folder, name or path.

    They are of the same network, or of one that it can inherit from (`nets.inherit`).
    OptionError: they are of another network. WeightsError: there is no such model.
    """
    if Path(first).is_dir():
        found = load_averaged(Path(first))[1]
    else:
        from allfocus.checkpoints import native
        from allfocus.weights import store

        found = native.load(store.find(first).weights)
    stored, wanted = found.state_dict(), net.state_dict()
    alike = {name: part.shape for name, part in stored.items()} == {name: part.shape for name, part in wanted.items()}
    if isinstance(net, IFAN) and isinstance(found, IFAN) and can_inherit(found, net):
        inherit(found, net)
        return
    if not alike or getattr(found, "tied", None) != getattr(net, "tied", None):
        raise OptionError(f"--start-from {first}, a different network", "the same network", "its recipe")
    net.load_state_dict(stored)


@torch.no_grad()
def average(net: nn.Module, others: Sequence[nn.Module], share: float) -> None:
    """Leave a network this share (0 to 1) of its own weights; the rest are those of others of its kind, evenly.

    Weights that were trained on from the same ones lie near enough to each other that what lies between is a network
    too, less sure of what the last steps taught. OptionError: another share.
    """
    if not 0 <= share <= 1:
        raise OptionError(f"a share of {share:g}", "a number from 0 to 1", "--share 0.5")
    theirs = zip(*(other.state_dict().values() for other in others), strict=True)
    for own, parts in zip(net.state_dict().values(), theirs, strict=True):
        if own.is_floating_point():
            own.copy_(torch.stack(parts).mean(dim=0).lerp(own, share))


def _groups(task: Task, config: TrainConfig) -> list[dict[str, Any]]:
    """The network that is shipped, and what stands beside it with its own share of the learning rate."""
    shipped = {id(parameter) for parameter in task.net.parameters()}
    taught = [parameter for parameter in task.parameters() if parameter.requires_grad]
    own = [parameter for parameter in taught if id(parameter) in shipped]
    beside = [parameter for parameter in taught if id(parameter) not in shipped]
    groups = [{"params": own, "share": 1.0}, {"params": beside, "share": config.reblurring_rate}]
    return [group for group in groups if group["params"]]


def _fused(config: TrainConfig) -> bool:
    """One kernel for all parameters; it does not let gradients be unscaled before they are clipped."""
    return config.precision != "16-mixed"
