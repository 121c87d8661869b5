"""An engine that is loaded in a thread while the photo is decoded and measured."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

from allfocus.engine.base import Engine, EngineInfo, Estimate, FittingEngine


class LaterEngine:
    """An engine that `load`, called at once in a thread of its own, will give; its errors are raised at use."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._loaded: Future[Engine] = Future()
        # no daemon: Python waits for it at its end, where OpenVINO would abort in the midst of loading
        threading.Thread(target=self._load, args=(load,), name="engine").start()

    @property
    def redone(self) -> int:
        """See `Engine.redone`."""
        return self.ready().redone

    @property
    def info(self) -> EngineInfo:
        """What runs, and where."""
        return self.ready().info

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`."""
        return self.ready().run(batch, pair)

    def fitted(self, height: int, width: int) -> Engine | None:
        """See `FittingEngine.fitted`."""
        engine = self.ready()
        return engine.fitted(height, width) if isinstance(engine, FittingEngine) else None

    def ready(self) -> Engine:
        """The engine itself, when it is loaded."""
        return self._loaded.result()

    def _load(self, load: Callable[[], Engine]) -> None:
        try:
            self._loaded.set_result(load())
        except BaseException as error:  # it belongs to who uses the engine
            self._loaded.set_exception(error)
