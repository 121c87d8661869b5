from __future__ import annotations

import numpy as np
import pytest

from allfocus.engine.base import Estimate
from allfocus.engine.flipped import FlippedEngine
from allfocus.errors import OptionError
from engines import LocalEngine


class Leaning(LocalEngine):
    """A residual that grows to the right, whatever it sees."""

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        ramp = np.broadcast_to(np.arange(batch.shape[3], dtype=np.float32), batch.shape)
        return Estimate(ramp + batch, batch[:, :1])


def test_both_views_count_alike() -> None:
    batch = np.random.default_rng(0).random((2, 3, 16, 32), dtype=np.float32)
    found = FlippedEngine(Leaning()).run(batch)
    np.testing.assert_allclose(found.residual, batch + 15.5, rtol=1e-6)
    np.testing.assert_array_equal(found.disparity, batch[:, :1])


def test_a_network_without_a_side_is_left_as_it_is() -> None:
    batch = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
    engine = FlippedEngine(LocalEngine())
    np.testing.assert_allclose(engine.run(batch).residual, LocalEngine().run(batch).residual, atol=1e-6)
    assert (engine.redone, engine.info.name) == (0, "stand-in")


def test_views_are_refused() -> None:
    batch = np.zeros((1, 3, 16, 16), np.float32)
    with pytest.raises(OptionError, match="dual-pixel views with --speed best"):
        FlippedEngine(LocalEngine()).run(batch, np.zeros((1, 6, 16, 16), np.float32))
