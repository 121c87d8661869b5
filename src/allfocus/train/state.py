"""What a training run is at one step: weights, averaged weights, optimiser, step. Saved whole, resumed exactly."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from allfocus.errors import DataError, TrainingError
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import architecture
from allfocus.train.config import LossWeights, TrainConfig

CHECKPOINT = "last.pt"
MOST_SKIPPED = 20


@dataclass
class TrainState:
    """The state of a run; `advance` counts a step and moves the averaged weights.

    Attributes:
        config: the run.
        net: what is trained.
        averaged: its exponential moving average, what is validated and shipped.
        optimiser: AdamW.
        step: steps done.
        skipped: steps whose gradients were not finite; they left the weights alone.
        skipped_in_a_row: the latest of them.
    """

    config: TrainConfig
    net: IFAN
    averaged: IFAN
    optimiser: torch.optim.Optimizer
    step: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0

    @classmethod
    def start(cls, config: TrainConfig, first: Path | None = None) -> TrainState:
        """Step 0: fresh weights from the seed, or the averaged weights of another run of the same architecture."""
        torch.manual_seed(config.seed)
        net = architecture(config.architecture).build(config.residual_gain)
        if first is not None:
            net.load_state_dict(load_averaged(first)[1].state_dict())
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(
            net.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        return cls(config, net, copy.deepcopy(net).requires_grad_(False), optimiser)

    @classmethod
    def resume_or_start(cls, config: TrainConfig, folder: Path, first: Path | None = None) -> TrainState:
        """The run's last checkpoint in the folder, or step 0 (see `start`).

        Raises:
            DataError: if the checkpoint belongs to another configuration.
        """
        state = cls.start(config, None if (folder / CHECKPOINT).exists() else first)
        path = folder / CHECKPOINT
        if not path.exists():
            return state
        saved = torch.load(path, weights_only=True)
        if saved["config"] != asdict(config):
            differing = [key for key, value in asdict(config).items() if saved["config"].get(key) != value]
            raise DataError(
                f"{path} was written by a run with other values of {', '.join(differing)}",
                "the same configuration, to resume",
                "another output folder, or the old configuration",
            )
        state.net.load_state_dict(saved["net"])
        state.averaged.load_state_dict(saved["averaged"])
        state.optimiser.load_state_dict(saved["optimiser"])
        state.step, state.skipped = saved["step"], saved["skipped"]
        return state

    def save(self, folder: Path) -> None:
        """Write the checkpoint beside the old one, then put it in its place."""
        beside = folder / f"{CHECKPOINT}.part"
        torch.save(
            {
                "config": asdict(self.config),
                "net": self.net.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "skipped": self.skipped,
            },
            beside,
        )
        beside.replace(folder / CHECKPOINT)

    def advance(self, *, skipped: bool = False) -> None:
        """Count a step and move the averaged weights towards the new ones (faster in the first steps).

        Args:
            skipped: the step's gradients were not finite, so the weights were left as they were.

        Raises:
            TrainingError: after 20 such steps in a row; the last checkpoint is still whole.
        """
        self.step += 1
        if skipped:
            self.skipped += 1
            self.skipped_in_a_row += 1
            if self.skipped_in_a_row >= MOST_SKIPPED:
                raise TrainingError(
                    f"{self.skipped_in_a_row} steps in a row without finite gradients, up to step {self.step}",
                    "gradients that are finite",
                    "a lower learning_rate, from the last checkpoint's folder or a new one",
                )
            return
        self.skipped_in_a_row = 0
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for averaged, current in zip(self.averaged.parameters(), self.net.parameters(), strict=True):
                averaged.lerp_(current, 1 - decay)


def load_averaged(folder: Path) -> tuple[TrainConfig, IFAN, int]:
    """Configuration, averaged weights (float32, evaluation mode) and step of a run's last checkpoint.

    Raises:
        DataError: if there is none.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise DataError(f"no {CHECKPOINT} in {folder}", "the folder of a run", "allfocus train -o DIR first")
    saved = torch.load(path, weights_only=True)
    config = TrainConfig(**{**saved["config"], "loss": LossWeights(**saved["config"]["loss"])})
    net = architecture(config.architecture).build()
    net.load_state_dict(saved["averaged"])
    return config, net.eval(), saved["step"]
