"""The contract of a baseline: loaded once, it deblurs many photos, in most cases through a defocus map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from allfocus.errors import InputError, OptionError

Progress = Callable[[float, str], None]
"""Called with the fraction that is done, in [0, 1], and what is being done. It may raise to stop the work."""


def span(progress: Progress | None, start: float, stop: float) -> Progress:
    """A callback whose 0 to 1 is `start` to `stop` of `progress`; it does nothing when `progress` is None."""

    def report(done: float, stage: str) -> None:
        if progress is not None:
            progress(start + (stop - start) * min(max(done, 0.0), 1.0), stage)

    return report


@dataclass(frozen=True)
class BaselineOptions:
    """What may be chosen when a photo is restored.

    Attributes:
        views: left and right dual-pixel view, for methods of two views; each like the photo.
        data_weight: lambda of the deconvolution; deconvolution.LAMBDA has those of the comparison.
        selection: levels of the deconvolution: "hard" as in the comparison, or "blend".
        eight_bit: round photo and result of the map methods to 8 bits, as the paper's comparison did.
        gated: whether a network acts only where the photo is blurred, as `restore.Settings` has it.
    """

    views: tuple[NDArray, NDArray] | None = None
    data_weight: float = 16.8
    selection: Literal["hard", "blend"] = "hard"
    eight_bit: bool = False
    gated: bool = True


@dataclass(frozen=True)
class BaselineResult:
    """The photo, float32 (H, W, 3) in [0, 1], and the blur radius that was used, (H, W), from a method with a map."""

    sharp: NDArray[np.float32]
    radius_px: NDArray[np.float32] | None = None


class Baseline(ABC):
    """A method beside IFAN, ready for many photos.

    Attributes:
        name: as on the command line.
        views: 2 when it needs dual-pixel views, else 1.
        network: the torch module of a learnt method, whose parameters and operations are counted; else None.

    Args:
        name: of its entry in the registry.
        views: of its entry.
        weights: file of a learnt method, found by the registry; None for others.
    """

    network: Any = None

    def __init__(self, name: str, views: int = 1, weights: Path | None = None) -> None:
        self.name, self.views = name, views

    def run(
        self, rgb: NDArray, options: BaselineOptions | None = None, progress: Progress | None = None
    ) -> BaselineResult:
        """Make a photo sharp.

        Args:
            rgb: (H, W, 3) display-referred, in [0, 1].
            options: what may be chosen.
            progress: called with (share done, what is being done).

        Raises:
            InputError: not floats (H, W, 3) in [0, 1], views of another size, or too small for the method.
            OptionError: no views for a method of two.
        """
        options = options or BaselineOptions()
        for picture in (rgb, *(options.views or ())):
            check_photo(picture)
        return self.sharpen(np.asarray(rgb, dtype=np.float32), options, progress)

    def defocus_map(self, rgb: NDArray, progress: Progress | None = None) -> NDArray[np.float32]:
        """The blur radius at each pixel, (H, W) float32 px; `rgb`, `progress` and InputError as in `run`.

        OptionError: a method without a map.
        """
        raise OptionError(f"{self.name} estimates no defocus map", "a method that estimates one", "'ebdb'")

    @classmethod
    def published_network(cls, views: int = 1) -> Any:
        """The network at its published size on torch's meta device, to be counted; None without a network."""
        return None

    @abstractmethod
    def sharpen(self, rgb: NDArray[np.float32], options: BaselineOptions, progress: Progress | None) -> BaselineResult:
        """What `run` gives, for a photo that was checked."""


def check_photo(rgb: NDArray) -> None:
    """Refuse what is not a photo as `Baseline.run` takes it."""
    fits = rgb.ndim == 3 and rgb.shape[2] == 3 and 0 not in rgb.shape and np.issubdtype(rgb.dtype, np.floating)
    if not fits or not np.isfinite(rgb).all() or rgb.min() < 0 or rgb.max() > 1:
        raise InputError(
            f"an array of shape {rgb.shape}, {rgb.dtype}", "floats (H, W, 3) in [0, 1]", "divide by the peak"
        )
