"""Everything that decides a training run, typed; stored in its checkpoints and in the card of its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path

from allfocus.errors import OptionError


@dataclass(frozen=True)
class LossWeights:
    """Weights of the named terms; 0 turns a term off.

    Attributes:
        deblur: Charbonnier distance between the output and the sharp picture.
        fourier: mean absolute difference of their orthonormal spectra.
        disparity: error of the estimated against the simulator's own disparity.
    """

    deblur: float = 1.0
    fourier: float = 0.1
    disparity: float = 0.05


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        architecture: a name of `nets.registry`.
        steps: optimiser steps in all.
        batch: samples a step.
        patch_px: side of the training crops, a multiple of 16.
        learning_rate: peak, reached after the warm-up, then cosine down to a hundredth.
        warmup: steps of linear warm-up.
        weight_decay: decoupled (AdamW).
        clip_norm: largest global gradient norm.
        ema: decay of the averaged weights that are validated and shipped.
        residual_gain: scale of the last convolution's initial weights.
        seed: of the initial weights and of the batches.
        bfloat16: autocast the network's forward and backward pass.
        threads: CPU threads.
        validate_every: steps between validations on real pairs.
        save_every: steps between checkpoints.
        loss: weights of the terms.
    """

    architecture: str = "ifan-fast"
    steps: int = 8000
    batch: int = 8
    patch_px: int = 192
    learning_rate: float = 5e-4
    warmup: int = 200
    weight_decay: float = 1e-4
    clip_norm: float = 0.5
    ema: float = 0.999
    residual_gain: float = 0.1
    seed: int = 0
    bfloat16: bool = True
    threads: int = 2
    validate_every: int = 1000
    save_every: int = 250
    loss: LossWeights = field(default_factory=LossWeights)


def load_config(path: Path | None) -> TrainConfig:
    """Read a run's settings from JSON; None gives the defaults.

    Raises:
        OptionError: if the file is not JSON or names a setting that does not exist.
    """
    if path is None:
        return TrainConfig()
    try:
        values = json.loads(path.read_text())
        return TrainConfig(**{**values, "loss": LossWeights(**values.get("loss", {}))})
    except (OSError, ValueError, TypeError) as error:
        names = ", ".join(field.name for field in fields(TrainConfig))
        raise OptionError(f"{path}: {error}", f"a JSON object with some of {names}", "recipes/ for examples") from error
