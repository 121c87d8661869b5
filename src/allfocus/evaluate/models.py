"""Our networks as methods: the pipeline of `allfocus deblur`, for one view and for two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from allfocus.data.pairs import PairSet
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import Engine
from allfocus.errors import DataError, OptionError
from allfocus.evaluate.cost import of_architecture
from allfocus.evaluate.methods import Conditions, Outcome, Scene, Wish
from allfocus.restore import Settings
from allfocus.weights.card import Card

SCALES = {"auto": "auto", "1": 1, "2": 2, "4": 4}


class Model:
    """A network through the same pipeline as `allfocus deblur`: engine, tiles, working scales, what is in focus kept.

    Raises:
        WeightsError: no such model. EngineError: it cannot run here. OptionError: an unknown working scale.
        DataError: a network of two views on a set without views.
    """

    upright = True

    def __init__(self, wish: Wish, pairs: PairSet) -> None:
        if wish.scale not in SCALES:
            raise OptionError(f"scale {wish.scale!r}", f"one of {', '.join(SCALES)}", "--scale auto")
        self.deblurrer = Deblurrer(wish.text, wish.engine, wish.precision)
        card = self.deblurrer.model.card
        if card.views > 1 and any(pair.left is None or pair.right is None for pair in pairs):
            raise DataError(
                f"{wish.text} needs dual-pixel views, which {pairs.name} lacks",
                "a set with left and right views",
                "a model of one view",
            )
        self.label, self.views = wish.label, card.views
        self.settings = Settings(scale=SCALES[wish.scale], tile=wish.tile, gated=not wish.ungated)
        self.conditions = conditions(wish, card, self.deblurrer.engine)

    def restore(self, scene: Scene) -> Outcome:
        """The photo through the pipeline, not rounded, and the radius of its blur where it is wanted and told."""
        views = None
        if self.views > 1:
            if scene.left is None or scene.right is None:
                raise DataError(f"{scene.name} has no dual-pixel views", "left and right view", "a model of one view")
            views = (scene.left, scene.right)
        done = self.deblurrer.run(scene.photo, settings=self.settings, views=views)
        assert isinstance(done.output, np.ndarray)  # an array was given
        radius_px = done.defocus_map.read() if scene.with_map and done.defocus_map is not None else None
        return Outcome(done.output.astype(np.float32, copy=False), radius_px)


def conditions(wish: Wish, card: Card, engine: Engine) -> Conditions:
    """What is stored about a model."""
    info = engine.info
    settings: dict[str, object] = {"model": card.name, "engine": info.name, "device": info.device}
    return Conditions(
        "model",
        tiling=f"tiles of {wish.tile or card.tile_px} px",
        precision=info.precision,
        weights_sha256=card.sha256,
        settings=settings | {"scale": wish.scale, "gated": not wish.ungated},
        cost=replace(of_architecture(card.architecture), parameters=card.parameters),
    )
