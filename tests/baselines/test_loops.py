"""Compiled loops where nothing can be kept on disk."""

from __future__ import annotations

import numba
import pytest

from allfocus.baselines.loops import compiled


def test_without_a_place_to_keep_them_loops_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def refuse(**options: object):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", refuse)

    @compiled()
    def double(value: float) -> float:
        return 2 * value

    monkeypatch.undo()  # numba uses its own decorator while it compiles
    assert double(21) == 42
