"""What can be scored: the input itself, models by name, folders of results, and registered baselines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from allfocus.baselines import registry
from allfocus.baselines.base import BaselineOptions
from allfocus.baselines.registry import METHODS
from allfocus.data.folder import match_results
from allfocus.data.pairs import PairSet, header
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import Engine
from allfocus.errors import DataError, WeightsError
from allfocus.evaluate.cost import Cost, cost_of_architecture, cost_of_network
from allfocus.evaluate.method import Conditions, Method, MethodInput, Outcome
from allfocus.restore import Settings
from allfocus.weights.card import Card

FOLDER_PREFIX = "folder:"
PLAIN = re.compile(r"[^A-Za-z0-9._+@-]+")


@dataclass(frozen=True)
class MethodSpec:
    """A method with its settings, as a user named it; small enough to be sent to another process.

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
            OptionError: an unknown working scale. WeightsError: no such model, or a method without its weights.
            DataError: results or views that are missing. MissingExtraError, EngineError: it cannot run here.
        """
        source = self.text.partition("=")[2] if f"={FOLDER_PREFIX}" in self.text else self.text
        if source.startswith(FOLDER_PREFIX):
            return ResultsFolder(self.label, Path(source.removeprefix(FOLDER_PREFIX)), pairs)
        if source in REGISTRY:
            return REGISTRY[source](self, pairs)
        try:
            return ModelMethod(self, pairs)
        except WeightsError as error:
            hint = f"{error.hint}; methods that are not models: {', '.join(sorted(REGISTRY))}, folder:PATH"
            raise WeightsError(error.got, error.expected, hint) from error


class InputMethod:
    """The unrestored photo, with which every other row is compared."""

    upright = True

    def __init__(self, spec: MethodSpec, pairs: PairSet) -> None:
        self.label = spec.label
        self.conditions = Conditions("input")

    def restore(self, given: MethodInput) -> Outcome:
        """The photo as it is."""
        return Outcome(given.photo)


class ResultsFolder:
    """A folder of finished pictures, from whatever made them; they carry the rounding of their files."""

    upright = False

    def __init__(self, label: str, folder: Path, pairs: PairSet) -> None:
        self.label = label
        self.pairs = pairs
        self.files = match_results(folder, pairs)
        for path in self.files.values():
            header(path)
        self.conditions = Conditions("folder", settings={"files": folder.name})

    def restore(self, given: MethodInput) -> Outcome:
        """The finished picture; DataError when it has another size or cannot be read."""
        path = self.files[given.name]
        sharp = self.pairs.read(path)
        height, width = given.photo.shape[:2]
        if sharp.shape[0] < height or sharp.shape[1] < width:
            raise DataError(f"{path} has {sharp.shape[1]}x{sharp.shape[0]} px", f"{width}x{height}", "full size")
        return Outcome(sharp[:height, :width])


class BaselineMethod:
    """A method of `allfocus.baselines.registry` in the paper's protocol (8 bits with a map); errors as `build`."""

    upright = True

    def __init__(self, spec: MethodSpec, pairs: PairSet) -> None:
        known = registry.entry(spec.text)
        weights = registry.find_weights(spec.text)
        _check_views(spec, known.views, pairs)
        self.label = spec.label
        self.baseline = registry.load(spec.text, weights)
        self.options = BaselineOptions(eight_bit=known.maps, gated=not spec.ungated)
        network = self.baseline.network
        self.conditions = Conditions(
            "baseline",
            precision="float32",
            settings={} if network is None or known.maps else {"gated": not spec.ungated},
            weights_sha256="" if weights is None else hashlib.sha256(weights.read_bytes()).hexdigest(),
            cost=Cost() if network is None else cost_of_network(network, known.views),
        )

    def restore(self, given: MethodInput) -> Outcome:
        """The photo through the baseline."""
        views = None if given.left is None or given.right is None else (given.left, given.right)
        made = self.baseline.run(given.photo, replace(self.options, views=views))
        return Outcome(made.sharp, made.radius_px)


class ModelMethod:
    """A network through the pipeline of `allfocus deblur`; errors as `MethodSpec.build`."""

    upright = True

    def __init__(self, spec: MethodSpec, pairs: PairSet) -> None:
        self.deblurrer = Deblurrer(spec.text, spec.engine, spec.precision)
        card = self.deblurrer.model.card
        _check_views(spec, card.views, pairs)
        self.label, self.views = spec.label, card.views
        self.settings = Settings(scale=spec.scale, tile=spec.tile, gated=not spec.ungated)
        self.conditions = _conditions(spec, card, self.deblurrer.engine)

    def restore(self, given: MethodInput) -> Outcome:
        """The photo through the pipeline, not rounded, and the blur radius where it is wanted and estimated."""
        views = None
        if self.views > 1:
            if given.left is None or given.right is None:
                raise DataError(f"{given.name} has no dual-pixel views", "left and right view", "a model of one view")
            views = (given.left, given.right)
        done = self.deblurrer.run(given.photo, settings=replace(self.settings, with_map=given.with_map), views=views)
        assert isinstance(done.output, np.ndarray)  # an array was given
        radius_px = done.defocus_map.read() if given.with_map and done.defocus_map is not None else None
        return Outcome(done.output.astype(np.float32, copy=False), radius_px)


def _conditions(spec: MethodSpec, card: Card, engine: Engine) -> Conditions:
    """What is stored about a model."""
    info = engine.info
    settings: dict[str, object] = {"model": card.name, "engine": info.name, "device": info.device}
    return Conditions(
        "model",
        tiling=f"tiles of {spec.tile or card.tile_px} px",
        precision=info.precision,
        weights_sha256=card.sha256,
        settings=settings | {"scale": spec.scale, "gated": not spec.ungated},
        cost=replace(cost_of_architecture(card.architecture), parameters=card.parameters),
    )


def _check_views(spec: MethodSpec, views: int, pairs: PairSet) -> None:
    if views > 1 and any(pair.left is None or pair.right is None for pair in pairs):
        raise DataError(
            f"{spec.text} needs dual-pixel views, which {pairs.name} lacks",
            "a set with left and right views",
            "a method of one view",
        )


def _plain(text: str) -> str:
    return PLAIN.sub("_", text).strip("_.") or "unnamed"


REGISTRY: dict[str, Callable[[MethodSpec, PairSet], Method]] = {
    "input": InputMethod,
    **dict.fromkeys(METHODS, BaselineMethod),
}
"""What builds each method that is not a model, from its specification and the set."""
