"""Everything that decides a training run, typed; stored in its folder and in its checkpoints."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from allfocus.data.augment import AugmentConfig
from allfocus.errors import OptionError, needs


@dataclass(frozen=True)
class LossWeights:
    """Weights of the named terms; 0 turns a term off, and with it what only that term needs.

    Attributes:
        deblur: distance between the output and the sharp picture.
        distance: of that term; "squared" in the paper.
        fourier: mean absolute difference of their orthonormal spectra.
        disparity: error of the estimated against the simulator's own disparity.
        warp: error between the left view and the right view warped by the estimated disparity (the paper's).
        reblur: error between the photo and the sharp picture blurred by the inverted filters (the paper's).
        perceptual: LPIPS-Alex between the output and the sharp picture; wants its files (ALLFOCUS_LPIPS).
        reblurring_iterations: pairs of 1-D filters of the network that blurs again.
        map, auxiliary: DMENet's map, and the coarser ones of its decoder.
    """

    deblur: float = 1.0
    distance: Literal["charbonnier", "squared"] = "charbonnier"
    fourier: float = 0.1
    disparity: float = 0.05
    warp: float = 0.0
    reblur: float = 0.0
    perceptual: float = 0.0
    reblurring_iterations: int = 17
    map: float = 1.0
    auxiliary: float = 1.0

    def weight(self, term: str) -> float:
        """The weight of a term."""
        return float(getattr(self, term))


@dataclass(frozen=True)
class NetConfig:
    """Sizes other than those of the named network; None keeps its own.

    Attributes:
        width: channels of the first level: 32 for IFAN, 64 for DPDNet, and of 64 for DMENet.
        iterations, unshuffle, tied: of IFAN, see `nets.registry.Architecture`.
    """

    width: int | None = None
    iterations: int | None = None
    unshuffle: int | None = None
    tied: bool | None = None


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        architecture: a name of `nets.registry`, or dpdnet-s, dpdnet-d, dmenet (`train.tasks.registry`).
        net: sizes other than that name's.
        start_from: folder of a run, or a model's name or file, whose weights are the first; of several, their mean, in
            which one that is named twice counts twice; None draws them.
        start_gain: factor on the residual of those weights; 1 / 0.7 undoes what `allfocus release --gain 0.7` did.
        steps: optimiser steps in all.
        batch: samples a step, over all processes.
        patch_px: side of the training crops, a multiple of 16; several take equal shares of the run, one after another.
        optimiser: "radam" decays weights apart from the gradient, as "adamw" does; "adam" is for DPDNet; "muon" takes
            other steps than "adamw" for convolutions between many channels (`train.muon`).
        learning_rate: peak, reached after the warm-up.
        reblurring_rate: rate of the reblurring network over that; its filters multiply 2N times too, and start near 0.
        warmup: steps of linear warm-up.
        schedule: "cosine" falls to a hundredth of the peak; "drops" multiplies by `drop` at the shares `drop_at`.
        drop, drop_at: see `schedule`.
        weight_decay: decoupled; not used by "adam".
        clip_norm: largest global gradient norm.
        ema: decay of the averaged weights that are validated and shipped; 0 averages nothing.
        residual_gain: scale of the last convolution's initial weights.
        identity_filters: let IFAN's predicted filters start as the identity, not near zero as the paper's code does;
            with `start_from`, only if those of the weights pass nothing on.
        seed: of the initial weights and of the batches.
        precision: "bf16-mixed" or "16-mixed" autocast the networks; "auto" takes "bf16-mixed" where the device computes
            in bfloat16, else "32-true" (`train.launch.precision_here`).
        threads: CPU threads of this process.
        log_every: steps over which a line of losses is averaged.
        validate_every: steps between validations.
        save_every: steps between checkpoints.
        loss: weights of the terms.
        augment: random changes of the samples.
        coarse_chance: how often a sample has been worked on by the averaged weights at half size before it is seen, as
            the second stage of the pipeline sees photos.
    """

    architecture: str = "ifan-fast"
    net: NetConfig = field(default_factory=NetConfig)
    start_from: str | list[str] | None = None
    start_gain: float = 1.0
    steps: int = 8000
    batch: int = 8
    patch_px: int | list[int] = 192
    optimiser: Literal["adamw", "radam", "adam", "muon"] = "adamw"
    learning_rate: float = 5e-4
    reblurring_rate: float = 1.0
    warmup: int = 200
    schedule: Literal["cosine", "drops"] = "cosine"
    drop: float = 0.5
    drop_at: tuple[float, ...] = ()
    weight_decay: float = 1e-4
    clip_norm: float = 0.5
    ema: float = 0.999
    residual_gain: float = 0.1
    identity_filters: bool = False
    seed: int = 0
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    threads: int = 2
    log_every: int = 50
    validate_every: int = 1000
    save_every: int = 250
    loss: LossWeights = field(default_factory=LossWeights)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    coarse_chance: float = 0.0

    def __post_init__(self) -> None:
        for patch in self.patches:
            if patch < 16 or patch % 16:
                raise OptionError(f"crops of {patch} px", "multiples of 16", "--set patch_px=192")
        if min(self.steps, self.batch, self.log_every, self.validate_every, self.save_every) < 1:
            raise OptionError("a count below 1", "steps, batch and intervals of 1 or more", "the recipe's values")

    @property
    def starts(self) -> tuple[str, ...]:
        """What the first weights are the mean of."""
        if isinstance(self.start_from, str):
            return (self.start_from,)
        return tuple(self.start_from or ())

    @property
    def patches(self) -> tuple[int, ...]:
        """The sides of the crops, one after another."""
        return (self.patch_px,) if isinstance(self.patch_px, int) else tuple(self.patch_px)

    def patch_at(self, step: int) -> int:
        """Side of the crops of a step."""
        return self.patches[min(step * len(self.patches) // self.steps, len(self.patches) - 1)]

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then the schedule."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.schedule == "drops":
            return self.learning_rate * self.drop ** sum(step >= share * self.steps for share in self.drop_at)
        progress = min((step - self.warmup) / max(self.steps - self.warmup, 1), 1.0)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The configuration that `to_dict` gave; what is left out has its default.

        Raises:
            OptionError: a name or value that no setting has.
        """
        return _parsed(values, [])

    def difference(self, other: TrainConfig) -> list[str]:
        """Names of the settings that differ; a run that is continued has its start behind it."""
        names = [one.name for one in fields(self) if one.name != "start_from"]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def load_config(path: Path | None, changes: Sequence[str] = (), base: TrainConfig | None = None) -> TrainConfig:
    """Settings of a run from a file and from single changes.

    Args:
        path: YAML (or JSON) file with some of the settings; None takes the base.
        changes: "NAME=VALUE", nested names with dots ("loss.warp=0.5").
        base: what is not said otherwise; the defaults if None.

    Raises:
        OptionError: a file that cannot be read, a setting that does not exist, or a value of another type.
    """
    values: dict[str, Any] = {} if base is None else base.to_dict()
    if path is not None:
        import yaml

        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise OptionError(f"{path}: {error}", "a YAML file of settings", "allfocus train --show") from error
        if not isinstance(found, dict):
            raise OptionError(f"{path} holds no settings", "names and values", "allfocus train --show")
        values = _merged(values, found)
    return _parsed(values, changes)


def as_yaml(config: TrainConfig) -> str:
    """Every setting, in order, as YAML that `load_config` reads."""
    import yaml

    text = io.StringIO()
    yaml.safe_dump(_plain(config.to_dict()), text, sort_keys=False, allow_unicode=True)
    return text.getvalue()


def _parsed(values: Mapping[str, Any], changes: Sequence[str]) -> TrainConfig:
    """Typed by jsonargparse from the dataclasses' own annotations."""
    with needs("training", "train", "jsonargparse"):
        from jsonargparse import ArgumentError, ArgumentParser
    for change in changes:
        if "=" not in change:
            raise OptionError(f"--set {change}", "NAME=VALUE", "--set steps=1000")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig)
    try:
        given = parser.parse_object(_plain(values))
        parsed = parser.parse_args([f"--{change}" for change in changes], namespace=given)
        return TrainConfig(**vars(parser.instantiate(parsed)))
    except (ArgumentError, TypeError, ValueError) as error:
        cause = " ".join(str(error).split())
        names = ", ".join(one.name for one in fields(TrainConfig))
        raise OptionError(f"settings: {cause}", f"some of {names}", "allfocus train --show") from error


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The base with what the change says, at any depth."""
    merged = dict(base)
    for name, value in change.items():
        both = isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        merged[name] = _merged(base[name], value) if both else value
    return merged


def _plain(value: Any) -> Any:
    """Tuples and dataclasses as lists and dictionaries."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
