"""The contract of a method that can be scored: its input, its output and its conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allfocus.evaluate.cost import Cost


@dataclass(frozen=True)
class MethodInput:
    """One photo to restore: float32 (H, W, 3) in [0, 1], upright as its network wants it.

    Attributes:
        name: of the scene, for methods that look their result up.
        photo: the defocused photo.
        left, right: its dual-pixel views, or None.
        with_map: whether the map of the blur radius is wanted too.
    """

    name: str
    photo: NDArray[np.float32]
    left: NDArray[np.float32] | None = None
    right: NDArray[np.float32] | None = None
    with_map: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a method gives back.

    Attributes:
        sharp: float32 (H, W, 3), meant for [0, 1]; it is clipped before it is scored.
        radius_px: (H, W) blur radius of the photo in px, where the method estimates one.
    """

    sharp: NDArray[np.float32]
    radius_px: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Conditions:
    """What is known about a method before it runs; stored with its results.

    Attributes:
        kind: "input", "model", "folder" or "baseline".
        tiling, precision: as `Protocol` has them.
        weights_sha256: of the weights file, "" without weights.
        settings: everything else that decides the output (engine, working scale, ...).
        cost: parameters and multiply-accumulates, where there is a network.
    """

    kind: str
    tiling: str = "whole"
    precision: str = "-"
    weights_sha256: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)


class Method(Protocol):
    """Something that restores a photo. `upright` is False for methods that look at files, which are not turned."""

    label: str
    conditions: Conditions
    upright: bool

    def restore(self, given: MethodInput) -> Outcome:
        """The restored photo; returns when it is in memory."""
        ...
