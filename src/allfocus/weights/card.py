"""The card of a weights file: what the network is, what it was trained on, and what it scored. JSON, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from allfocus.atomic_file import write_text
from allfocus.errors import WeightsError

FORMAT = 1
DEFAULT_TILE_PX = 1024
AGREEMENT_DB = {"float32": 100.0, "bfloat16": 50.0, "int8": 45.0}
"""What every engine promises: PSNR of a sharp photo against that of torch in float32, on any one photo."""


@dataclass(frozen=True)
class TrainingData:
    """One group of training pictures: its licence, how many were seen in training, and their source, for people."""

    group: str
    licence: str
    pictures: int
    source: str = ""


@dataclass(frozen=True)
class Card:
    """The description of a weights file: everything that the pipeline knows about a network.

    Attributes:
        name: the name users give, the stem of the files beside each other.
        architecture: arguments of `nets.registry.Architecture`.
        parameters: how many numbers the network has.
        macs: multiply-accumulates on a photo of 1280x720, as the IFAN paper counts them; 0 when nobody has counted.
        multiple: height and width of a batch are multiples of this; also the side of a disparity cell in px.
        context_px: measured reach of the trained network: pixels farther away than this hardly matter.
        sha256: of the weights file, 64 hexadecimal digits.
        licence: of the weights (SPDX).
        views: 1 for a single photo, 2 for a photo with its dual-pixel pair.
        colour: what the network's pixels are.
        inputs: names of the graph's inputs.
        outputs: names of the graph's outputs.
        tile_px: default tile size of the pipeline.
        trained_on: groups of training pictures with their licences.
        simulator: settings of the defocus simulator that made the training pairs.
        steps: optimiser steps.
        seed: of the training run.
        scores: by data set, metric -> value, as measured through the command line.
        known_failures: one sentence each.
        agreement_db: precision -> PSNR that a sharp photo has at least against torch in float32, on any engine.
        command: what reproduces the weights.
    """

    name: str
    architecture: Mapping[str, Any]
    parameters: int
    multiple: int
    context_px: int
    sha256: str
    licence: str
    views: int = 1
    colour: str = "display-referred RGB in [0, 1]"
    inputs: tuple[str, ...] = ("photo",)
    outputs: tuple[str, ...] = ("residual", "disparity")
    tile_px: int = DEFAULT_TILE_PX
    trained_on: tuple[TrainingData, ...] = ()
    simulator: Mapping[str, Any] = field(default_factory=dict)
    macs: int = 0
    steps: int = 0
    seed: int = 0
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    known_failures: tuple[str, ...] = ()
    agreement_db: Mapping[str, float] = field(default_factory=lambda: dict(AGREEMENT_DB))
    command: str = ""

    def to_json(self) -> str:
        """The card as text; `from_json` gives an equal card back."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the card; a reader sees the old one or the new one."""
        write_text(path, self.to_json())

    @classmethod
    def from_json(cls, text: str, origin: str = "card") -> Card:
        """Read a card; `origin` is what an error calls it, usually its path.

        WeightsError: not JSON, of a newer format, with unknown or missing fields, or with a value of a wrong type.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise _refusal(f"{origin} is not JSON ({error})") from error
        if not isinstance(values, dict) or not isinstance(values.get("format"), int):
            raise _refusal(f"{origin} has no format number")
        version = values.pop("format")
        if version != FORMAT:
            raise WeightsError(
                f"{origin} is a card of format {version}",
                f"format {FORMAT}, which this allfocus reads",
                "a newer allfocus" if version > FORMAT else "weights that were released with this allfocus",
            )
        known = {one.name: one for one in fields(cls)}
        required = {name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING}
        if values.keys() - known.keys() or required - values.keys():
            unknown, missing = sorted(values.keys() - known.keys()), sorted(required - values.keys())
            raise _refusal(f"{origin} has unknown fields {unknown} and lacks {missing}")
        for name, value in values.items():
            _check_type(origin, name, value)
        try:
            values["trained_on"] = tuple(TrainingData(**group) for group in values.get("trained_on", ()))
        except TypeError as error:
            raise _refusal(f"{origin}: trained_on has other fields than group, licence, pictures, source") from error
        for name in ("inputs", "outputs", "known_failures"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card file. WeightsError: missing, unreadable or not a card."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _refusal(f"{path} cannot be read ({error})") from error
        return cls.from_json(text, str(path))


_KINDS: dict[str, type] = {
    **dict.fromkeys(("name", "sha256", "licence", "colour", "command"), str),
    **dict.fromkeys(("parameters", "macs", "multiple", "context_px", "views", "tile_px", "steps", "seed"), int),
    **dict.fromkeys(("architecture", "simulator", "scores", "agreement_db"), dict),
    **dict.fromkeys(("inputs", "outputs", "trained_on", "known_failures"), list),
}
_JSON_NAMES = {str: "text", int: "a whole number", dict: "an object", list: "a list"}


def _check_type(origin: str, name: str, value: object) -> None:
    wanted = _KINDS[name]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise _refusal(f"{origin}: {name} is {json.dumps(value)[:60]}, not {_JSON_NAMES[wanted]}")


def _refusal(got: str) -> WeightsError:
    return WeightsError(got, "the card written with the weights", "copy the model's three files again")
