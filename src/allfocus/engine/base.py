"""The contract of an engine: a batch of tiles in, the network's residual and disparity out."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from allfocus.errors import EngineError, EngineMemoryError, OptionError
from allfocus.weights.card import Card
from allfocus.weights.store import Model

PRECISIONS = ("auto", "float32", "bfloat16", "int8")


@dataclass(frozen=True)
class EngineInfo:
    """An engine, the processor in words, its precision, the model's name and the CPU threads that it computes with."""

    name: str
    device: str
    precision: str
    model: str
    threads: int = 1


class Estimate(NamedTuple):
    """The output of a network for a batch.

    Attributes:
        residual: (N, 3, H, W) float32, what to add to the photo; not clipped. The caller may write into it.
        disparity: (N, 1, H/m, W/m) float32 in cells of m = `Card.multiple` px, or None where the network has none.
    """

    residual: np.ndarray
    disparity: np.ndarray | None


class Engine(Protocol):
    """A network loaded on a device. Calls from several threads wait for each other."""

    @property
    def redone(self) -> int:
        """Batches that came out of bfloat16 or int8 with values that are not finite and were run again in float32."""
        ...

    @property
    def info(self) -> EngineInfo:
        """The engine, its device and its model."""
        ...

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """Run the network.

        Args:
            batch: (N, 3, H, W) float32, display-referred RGB in [0, 1]; H and W multiples of the card's multiple. Its
                memory is used again after the call.
            pair: (N, 6, H, W) float32, right then left dual-pixel view, for a network of two views.

        Raises:
            OptionError: another shape or dtype.
            EngineMemoryError: no memory for this size; the engine stays usable for smaller ones.
            EngineError: the engine failed, or even float32 gave values that are not finite.
        """
        ...


@runtime_checkable
class FittingEngine(Engine, Protocol):
    """An engine that is faster, and takes less memory, where it knows the size of the batches beforehand."""

    def fitted(self, height: int, width: int) -> Engine | None:
        """The same network for batches (1, ., height, width) only; what this one holds in memory for others goes.

        None where it turns out that there is no such thing.
        """
        ...


@runtime_checkable
class ParallelEngine(Engine, Protocol):
    """An engine that works on several calls at the same time."""

    @property
    def at_once(self) -> int:
        """How many; further calls wait."""
        ...


class LockedEngine(ABC):
    """What the engines share: one call at a time, and what is not finite in half precision runs again in float32."""

    def __init__(self, model: Model, info: EngineInfo) -> None:
        self._redone = 0
        self._model, self._info = model, info
        self._lock = threading.Lock()

    @property
    def redone(self) -> int:
        """See `Engine.redone`."""
        return self._redone

    @property
    def info(self) -> EngineInfo:
        """What runs, and where."""
        return self._info

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        """See `Engine.run`."""
        inputs = check_inputs(self._model.card, batch, pair)
        with self._lock:
            estimate = self._infer(inputs)
            if is_finite(estimate):
                return estimate
            if self._info.precision != "float32":
                self._redone += 1
                estimate = self._infer_in_float32(inputs)
                if is_finite(estimate):
                    return estimate
        raise not_finite(self._info)

    @abstractmethod
    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        """The network on checked arrays, in the engine's precision."""

    def _infer_in_float32(self, inputs: list[np.ndarray]) -> Estimate:
        """The same in float32, for engines that have another precision."""
        raise NotImplementedError


def no_memory(inputs: list[np.ndarray]) -> EngineMemoryError:
    """The error for a batch that does not fit."""
    size = "x".join(map(str, inputs[0].shape))
    return EngineMemoryError(f"no memory for a batch of {size}", "a batch that fits", "a smaller --tile")


def check_inputs(card: Card, batch: np.ndarray, pair: np.ndarray | None) -> list[np.ndarray]:
    """The arrays in the order of the graph's inputs, or a refusal (see `Engine.run`)."""
    if (pair is not None) != (card.views == 2):
        raise OptionError(
            f"{'a' if pair is not None else 'no'} dual-pixel pair for {card.name}, a network of {card.views} view(s)",
            "a pair (right, left) for two views, none for one",
            "another model",
        )
    arrays = [batch] if pair is None else [batch, pair]
    for array, channels in zip(arrays, (3, 6), strict=False):
        fits = array.ndim == 4 and array.shape[1] == channels and array.size > 0 and array.dtype == np.float32
        if not fits or array.shape[2] % card.multiple or array.shape[3] % card.multiple:
            raise OptionError(
                f"a batch of shape {array.shape} and type {array.dtype}",
                f"(N, {channels}, H, W) float32 with H and W multiples of {card.multiple}",
                "pad it, or let allfocus.deblur do so",
            )
        if array.shape[0] != batch.shape[0] or array.shape[2:] != batch.shape[2:]:
            raise OptionError(
                f"a pair of shape {array.shape}", f"the photo's {batch.shape}", "views cropped like the photo"
            )
    return arrays


def is_finite(estimate: Estimate) -> bool:
    """Whether every value of an estimate is finite (one cheap sum an array: infinity and NaN survive it)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return all(bool(np.isfinite(values.sum())) for values in estimate if values is not None)


def not_finite(info: EngineInfo) -> EngineError:
    """The error for values that are not finite in float32 either."""
    return EngineError(
        f"{info.model} on {info.name} returned values that are not finite, even in float32",
        "a finite residual",
        "another model, or check the input for NaN",
    )
