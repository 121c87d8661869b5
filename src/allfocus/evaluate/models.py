"""Our networks as methods: the whole restoration pipeline for one view, tiles of the photo and its pair for two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from allfocus.data.pairs import PairSet
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import Engine
from allfocus.errors import DataError, OptionError
from allfocus.estimate import defocus_map
from allfocus.evaluate.cost import of_architecture
from allfocus.evaluate.methods import Conditions, Method, Outcome, Scene, Wish
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import plan
from allfocus.restore import OVERLAP_PX, Settings
from allfocus.weights.card import Card

SCALES = {"auto": "auto", "1": 1, "2": 2, "4": 4}


def build_model(wish: Wish, pairs: PairSet) -> Method:
    """The model of that name or path on an engine.

    Raises:
        WeightsError: no such model. EngineError: it cannot run here. OptionError: an unknown working scale.
        DataError: a network of two views on a set without views.
    """
    if wish.scale not in SCALES:
        raise OptionError(f"scale {wish.scale!r}", f"one of {', '.join(SCALES)}", "--scale auto")
    deblurrer = Deblurrer(wish.text, wish.engine, wish.precision)
    if deblurrer.model.card.views == 1:
        return Model(wish, deblurrer)
    if any(pair.left is None or pair.right is None for pair in pairs):
        raise DataError(
            f"{wish.text} needs dual-pixel views, which {pairs.name} lacks",
            "a set with left and right views",
            "a model of one view",
        )
    return DualModel(wish, deblurrer)


class Model:
    """A network of one view through the same pipeline as `allfocus deblur`: engine, tiles, working scales."""

    upright = True

    def __init__(self, wish: Wish, deblurrer: Deblurrer) -> None:
        self.label = wish.label
        self.deblurrer = deblurrer
        self.settings = Settings(scale=SCALES[wish.scale], tile=wish.tile)
        self.conditions = conditions(wish, deblurrer.model.card, deblurrer.engine, wish.scale)

    def restore(self, scene: Scene) -> Outcome:
        """The photo through the pipeline, not rounded."""
        output = self.deblurrer.run(scene.photo, settings=self.settings).output
        assert isinstance(output, np.ndarray)  # an array was given
        return Outcome(output.astype(np.float32, copy=False))

    def defocus_map(self, scene: Scene) -> NDArray[np.float32]:
        """From the network's own disparity; OptionError for one that estimates none."""
        return defocus_map(decode(scene.photo), self.deblurrer.engine, self.deblurrer.model.card)


class DualModel:
    """A network of two views, at full size only, tile by tile."""

    upright = True

    def __init__(self, wish: Wish, deblurrer: Deblurrer) -> None:
        self.label = wish.label
        self.engine, self.card = deblurrer.engine, deblurrer.model.card
        self.side_px = wish.tile or self.card.tile_px
        self.conditions = conditions(wish, self.card, self.engine, "1")

    def restore(self, scene: Scene) -> Outcome:
        """The photo plus the residual that the network predicts from it and its views."""
        if scene.left is None or scene.right is None:
            raise DataError(f"{scene.name} has no dual-pixel views", "left and right view", "a model of one view")
        views = [decode(image).unit() for image in (scene.photo, scene.right, scene.left)]
        height, width = scene.photo.shape[:2]
        residual = np.zeros((height, width, 3), np.float32)
        tiles = plan(
            width, height, side=self.side_px, halo=self.card.context_px, overlap=OVERLAP_PX, multiple=self.card.multiple
        ).tiles
        for tile in tiles:
            photo, right, left = (
                np.ascontiguousarray(view.read(tile.source).transpose(2, 0, 1)[None]) for view in views
            )  # (1, 3, h, w) each
            change = self.engine.run(photo, np.concatenate([right, left], axis=1)).residual[0].transpose(1, 2, 0)
            y, x = tile.target.y - tile.source.y, tile.target.x - tile.source.x
            rows = slice(tile.target.y, tile.target.y + tile.target.height)
            columns = slice(tile.target.x, tile.target.x + tile.target.width)
            inside = change[y : y + tile.target.height, x : x + tile.target.width]
            residual[rows, columns] += inside * tile.weights()
        return Outcome(scene.photo + residual)

    def defocus_map(self, scene: Scene) -> None:
        """None: not estimated apart for two views."""


def conditions(wish: Wish, card: Card, engine: Engine, scale: str) -> Conditions:
    """What is stored about a model."""
    info = engine.info
    return Conditions(
        "model",
        tiling=f"tiles of {wish.tile or card.tile_px} px",
        precision=info.precision,
        weights_sha256=card.sha256,
        settings={"model": card.name, "engine": info.name, "device": info.device, "scale": scale},
        cost=replace(of_architecture(card.architecture), parameters=card.parameters),
    )
