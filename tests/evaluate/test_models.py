from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from allfocus.data.pairs import PairSet
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import EngineInfo, Estimate
from allfocus.errors import DataError, OptionError
from allfocus.evaluate.method import MethodInput
from allfocus.evaluate.methods import MethodSpec, ModelMethod
from allfocus.restore import Settings
from allfocus.weights.card import Card


class Mean:
    """An engine whose residual is the mean of what it is shown, minus the photo; shows that places and order hold."""

    redone = 0
    info = EngineInfo("drawn", "cpu", "float32", "drawn")

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        if pair is None:
            return Estimate(0.5 - batch, np.full((1, 1, batch.shape[2] // 8, batch.shape[3] // 8), 1.0, np.float32))
        return Estimate(0.75 * pair[:, :3] + 0.25 * pair[:, 3:] - batch, None)


def card(views: int) -> Card:
    architecture = {"iterations": 2, "width": 4, "views": views}
    return Card("drawn", architecture, 1234, 8, 8, "0" * 64, "Apache-2.0", views=views, tile_px=192)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every model is the drawn one; the list holds how many views it has."""
    views = [1]

    def make(self: Any, model: str, engine: str, precision: str) -> None:
        self.model, self.engine = SimpleNamespace(card=card(views[0])), Mean()

    monkeypatch.setattr(Deblurrer, "__init__", make)
    return views


def photo(seed: int, height: int = 150, width: int = 217) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def test_one_view_goes_through_the_pipeline(drawn: list[int], tiny: PairSet) -> None:
    method = ModelMethod(MethodSpec("drawn", scale="1"), tiny)
    soft = np.repeat(np.linspace(0.3, 0.6, 217, dtype=np.float32)[None, :, None], 150, 0).repeat(3, 2)
    found = method.restore(MethodInput("a", soft)).sharp
    np.testing.assert_array_equal(
        found, Deblurrer("drawn", "auto", "auto").run(soft, settings=Settings(scale="1")).output
    )
    assert np.abs(found - soft).max() > 0.01
    assert method.restore(MethodInput("a", photo(0))).radius_px is None
    radius_px = method.restore(MethodInput("a", photo(0), with_map=True)).radius_px
    assert radius_px is not None and radius_px.shape == (150, 217)
    assert method.conditions.settings["scale"] == "1"
    assert method.conditions.cost.parameters == 1234
    assert method.conditions.cost.macs_convolution is not None


def test_two_views_go_through_the_same_pipeline(drawn: list[int], tiny: PairSet) -> None:
    drawn[0] = 2
    with pytest.raises(DataError, match="needs dual-pixel views"):
        ModelMethod(MethodSpec("drawn"), tiny)
    views = replace(tiny, pairs=tuple(replace(pair, left=pair.source, right=pair.source) for pair in tiny))
    scene = MethodInput("a", photo(0), left=photo(1), right=photo(2))
    gated, ungated = (ModelMethod(MethodSpec("drawn", ungated=ungated), views) for ungated in (False, True))
    np.testing.assert_allclose(ungated.restore(scene).sharp, 0.75 * photo(2) + 0.25 * photo(1), atol=1e-4)
    np.testing.assert_array_equal(gated.restore(scene).sharp, photo(0))  # noise is as sharp as can be
    assert ungated.conditions.settings["gated"] is False
    assert (gated.label, ungated.label) == ("drawn", "drawn@ungated")
    with pytest.raises(DataError, match="has no dual-pixel views"):
        gated.restore(MethodInput("a", photo(0)))


def test_an_unknown_scale(drawn: list[int], tiny: PairSet, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="expected auto, 1, 2 or 4"):
        ModelMethod(MethodSpec("drawn", scale="3"), tiny)
