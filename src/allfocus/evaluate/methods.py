"""Everything that can be scored: the input itself, models by name, folders of results, and registered baselines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allfocus.baselines import registry
from allfocus.baselines.registry import METHODS
from allfocus.data.folder import match_results
from allfocus.data.pairs import PairSet, header
from allfocus.errors import DataError, WeightsError
from allfocus.evaluate.cost import Cost, of_baseline

FOLDER_PREFIX = "folder:"
PLAIN = re.compile(r"[^A-Za-z0-9._+@-]+")


@dataclass(frozen=True)
class Scene:
    """What a method is given: float32 (H, W, 3) in [0, 1], upright as its network wants it.

    Attributes:
        name: of the scene, for methods that look their result up.
        photo: the defocused photo.
        left, right: its dual-pixel views, or None.
        with_map: whether the map of the blur radius is wanted too.
    """

    name: str
    photo: NDArray[np.float32]
    left: NDArray[np.float32] | None = None
    right: NDArray[np.float32] | None = None
    with_map: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a method gives back.

    Attributes:
        sharp: float32 (H, W, 3), meant for [0, 1]; it is clipped before it is scored.
        radius_px: (H, W) blur radius of the photo in px, where the method estimates one.
    """

    sharp: NDArray[np.float32]
    radius_px: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Conditions:
    """What is known about a method before it runs; stored with its results.

    Attributes:
        kind: "input", "model", "folder" or "baseline".
        tiling, precision: as `Protocol` has them.
        weights_sha256: of the weights file, "" without weights.
        settings: everything else that decides the output (engine, working scale, ...).
        cost: parameters and multiply-accumulates, where there is a network.
    """

    kind: str
    tiling: str = "whole"
    precision: str = "-"
    weights_sha256: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)


class Method(Protocol):
    """Something that restores a photo. `upright` is False for methods that look at files, which are not turned."""

    label: str
    conditions: Conditions
    upright: bool

    def restore(self, scene: Scene) -> Outcome:
        """The restored photo; returns when it is in memory."""
        ...


@dataclass(frozen=True)
class Wish:
    """A method as it was asked for; small enough to be sent to another process.

    Attributes:
        text: "input", a model's name or path, "folder:PATH", "LABEL=folder:PATH", or a registered baseline.
        engine, precision, scale, tile: for models, as `allfocus deblur` takes them.
        ungated: whether a network acts on what is in focus too, as papers score it.
    """

    text: str
    engine: str = "auto"
    precision: str = "auto"
    scale: str = "auto"
    tile: int = 0
    ungated: bool = False

    @property
    def label(self) -> str:
        """The name of its result files; settings that differ from the defaults are part of it."""
        name, separator, rest = self.text.partition("=")
        if separator and rest.startswith(FOLDER_PREFIX):
            return _plain(name)
        if self.text.startswith(FOLDER_PREFIX):
            return _plain(Path(self.text.removeprefix(FOLDER_PREFIX)).name)
        everywhere = "ungated" if self.ungated else ""
        if self.text in REGISTRY:
            return "@".join(filter(None, (self.text, everywhere)))
        scale = "" if self.scale == "auto" else f"scale{self.scale}"
        tile = f"tile{self.tile}" if self.tile else ""
        engine, precision = (value if value != "auto" else "" for value in (self.engine, self.precision))
        return "@".join(
            filter(None, (_plain(Path(self.text).stem or "model"), engine, precision, scale, tile, everywhere))
        )

    def build(self, pairs: PairSet) -> Method:
        """The method, ready to run on this set.

        Raises:
            OptionError: an unknown name. WeightsError: a model without weights. DataError: results or views that are
            missing. MissingExtraError, EngineError: what the method needs is not installed.
        """
        source = self.text.partition("=")[2] if f"={FOLDER_PREFIX}" in self.text else self.text
        if source.startswith(FOLDER_PREFIX):
            return Results(self.label, Path(source.removeprefix(FOLDER_PREFIX)), pairs)
        if source in REGISTRY:
            return REGISTRY[source](self, pairs)
        from allfocus.evaluate.models import Model

        try:
            return Model(self, pairs)
        except WeightsError as error:
            hint = f"{error.hint}; methods that are not models: {', '.join(sorted(REGISTRY))}, folder:PATH"
            raise WeightsError(error.got, error.expected, hint) from error


class Input:
    """No restoration at all: the row that every other one is compared with."""

    upright = True

    def __init__(self, wish: Wish, pairs: PairSet) -> None:
        self.label = wish.label
        self.conditions = Conditions("input")

    def restore(self, scene: Scene) -> Outcome:
        """The photo as it is."""
        return Outcome(scene.photo)


class Results:
    """A folder of finished pictures, from whatever made them; they carry the rounding of their files.

    Raises:
        DataError: a scene has none, or one cannot be read.
    """

    upright = False

    def __init__(self, label: str, folder: Path, pairs: PairSet) -> None:
        self.label = label
        self.pairs = pairs
        self.files = match_results(folder, pairs)
        for path in self.files.values():
            header(path)
        self.conditions = Conditions("folder", settings={"files": folder.name})

    def restore(self, scene: Scene) -> Outcome:
        """The finished picture; DataError when it has another size or cannot be read."""
        path = self.files[scene.name]
        sharp = self.pairs.read(path)
        height, width = scene.photo.shape[:2]
        if sharp.shape[0] < height or sharp.shape[1] < width:
            raise DataError(
                f"{path} has {sharp.shape[1]}x{sharp.shape[0]} px", f"{width}x{height}", "results at their full size"
            )
        return Outcome(sharp[:height, :width])


class Baseline:
    """A method beside IFAN, from `allfocus.baselines.registry`, in the protocol of the poster.

    Raises:
        OptionError: an unknown one. WeightsError: a learnt one without its weights. DataError: it needs dual-pixel
        views and the set has none. MissingExtraError: a package that it needs is not installed.
    """

    upright = True

    def __init__(self, wish: Wish, pairs: PairSet) -> None:
        known = registry.method(wish.text)
        weights = registry.require(wish.text)
        if known.views > 1 and any(pair.left is None or pair.right is None for pair in pairs):
            raise DataError(
                f"{wish.text} needs dual-pixel views, which {pairs.name} lacks",
                "a set with left and right views",
                "leave it out",
            )
        self.label = wish.label
        self.function = registry.scored(wish.text, gated=not wish.ungated)
        self.conditions = Conditions(
            "baseline",
            precision="float32",
            settings={"gated": not wish.ungated} if known.network == "dpdnet" else {},
            weights_sha256="" if weights is None else hashlib.sha256(weights.read_bytes()).hexdigest(),
            cost=Cost() if weights is None else of_baseline(known.network, weights, known.views),
        )

    def restore(self, scene: Scene) -> Outcome:
        """The photo through the baseline."""
        return Outcome(*self.function(scene.photo, scene.left, scene.right))


def _plain(text: str) -> str:
    return PLAIN.sub("_", text).strip("_.") or "unnamed"


REGISTRY: dict[str, Callable[[Wish, PairSet], Method]] = {
    "input": Input,
    **dict.fromkeys(METHODS, Baseline),
}
"""Each name with what builds it from the wish and the set."""
