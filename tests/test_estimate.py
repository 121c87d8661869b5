"""The network's disparity as a map in px, with an engine that says what it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from allfocus.defocus.map import DISPARITY_TO_RADIUS
from allfocus.engine.base import Engine, EngineInfo, Estimate
from allfocus.errors import OptionError
from allfocus.estimate import defocus_map
from allfocus.photo.codecs import decode
from allfocus.weights.card import Card

SIDE = 16
CARD = Card("fake", {}, 0, multiple=SIDE, context_px=32, sha256="0" * 64, licence="none", tile_px=256)


class Engineless:
    """Its disparity is minus the red of the cell's first pixel."""

    redone = 0

    def __init__(self) -> None:
        self.info = EngineInfo("fake", "none", "float32", "fake")

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        return Estimate(np.zeros_like(batch), -batch[:, :1, ::SIDE, ::SIDE])


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (300, 500)])
def test_a_constant_disparity_is_a_constant_radius(size: tuple[int, int]) -> None:
    photo = decode(np.full((*size, 3), 0.25, dtype=np.float32), max_pixels=10**6)
    seen: list[float] = []
    found = defocus_map(photo, cast(Engine, Engineless()), CARD, lambda done, _stage: seen.append(done))
    assert found.shape == size
    np.testing.assert_allclose(found, 0.25 * SIDE * DISPARITY_TO_RADIUS, rtol=1e-6)
    assert seen[-1] == 1.0


def test_tiles_put_every_cell_at_its_place() -> None:
    cells = np.random.default_rng(0).random((25, 33, 1), dtype=np.float32)
    pixels = np.repeat(np.repeat(np.repeat(cells, SIDE, 0), SIDE, 1), 3, 2)
    found = defocus_map(decode(pixels, max_pixels=10**6), cast(Engine, Engineless()), CARD)
    # the middle of a cell lies between its pixels 7 and 8
    middles = found[7::SIDE, 7::SIDE] / 4 + found[8::SIDE, 7::SIDE] / 4
    middles += found[7::SIDE, 8::SIDE] / 4 + found[8::SIDE, 8::SIDE] / 4
    wanted = cells[..., 0] * SIDE * DISPARITY_TO_RADIUS
    assert np.abs(middles - wanted).max() < 0.1 * wanted.max()
    assert np.corrcoef(middles.ravel(), wanted.ravel())[0, 1] > 0.999


def test_a_network_without_disparity_is_refused() -> None:
    photo = decode(np.zeros((20, 20, 3), dtype=np.float32), max_pixels=10**6)
    with pytest.raises(OptionError, match="which estimates no disparity"):
        defocus_map(photo, cast(Engine, Engineless()), replace(CARD, outputs=("residual",)))
