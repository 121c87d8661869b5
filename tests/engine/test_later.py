"""An engine whose loading goes on beside other work."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from allfocus.engine.base import Engine
from allfocus.engine.later import LaterEngine
from allfocus.errors import EngineError
from engines import LocalEngine


def test_it_is_there_before_it_is_loaded_and_then_the_engine_itself() -> None:
    go, engine = threading.Event(), LocalEngine()

    def load() -> Engine:
        assert go.wait(10)
        return engine

    later = LaterEngine(load)
    go.set()
    batch = np.random.default_rng(0).random((1, 3, 16, 32), dtype=np.float32)
    np.testing.assert_array_equal(later.run(batch).residual, engine.run(batch).residual)
    assert (later.info, later.redone, later.ready()) == (engine.info, 0, engine)
    assert later.fitted(16, 32) is None  # this engine has no such thing


def test_what_loading_raises_every_use_raises() -> None:
    def load() -> Engine:
        raise EngineError("no engine", "one", "another")

    later = LaterEngine(load)
    for use in (later.ready, lambda: later.info, lambda: later.run(np.zeros((1, 3, 16, 16), np.float32))):
        with pytest.raises(EngineError, match="no engine"):
            use()


def test_a_process_that_ends_while_it_loads_ends_well() -> None:
    code = "from allfocus.deblurrer import Deblurrer; Deblurrer(); raise SystemExit(7)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (7, "")
