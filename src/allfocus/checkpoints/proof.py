"""Comparison of an exported file with torch, on random pictures and on a photograph.

Graph files run on OpenVINO in float32, from nothing: no cache, no card, no tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import allfocus.engine  # noqa: F401  silences what importing openvino would send
from allfocus.errors import WeightsError
from allfocus.nets.ifan import IFAN
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box

import openvino  # isort: skip

OPENVINO = f"OpenVINO {openvino.__version__.split('-')[0]}"
TOLERANCE = 1e-4
OUTPUTS = ("residual", "disparity")
_RANDOM_CELLS = (5, 7)  # down and across, and a batch of two; the photograph has another shape
_VIEW_SHIFT_PX = 2

Run = Callable[[Sequence[NDArray[np.float32]]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Proof:
    """How far a file is from torch float32.

    Attributes:
        random: largest absolute difference over all outputs, on random pictures.
        photo: the same on a photograph.
        checked_with: what ran the file, and on which shapes.
        tolerance: the largest difference allowed.
    """

    random: float
    photo: float
    checked_with: str
    tolerance: float = TOLERANCE

    @property
    def difference(self) -> float:
        """The larger one."""
        return max(self.random, self.photo)

    def facts(self) -> dict[str, str]:
        """What goes into the file's own metadata."""
        return {
            "difference_to_torch": f"{self.difference:.3g}",
            "difference_on_random": f"{self.random:.3g}",
            "difference_on_photo": f"{self.photo:.3g}",
            "tolerance": f"{self.tolerance:g}",
            "checked_with": self.checked_with,
        }


def run_graph(path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
    """The outputs, by name, of an ONNX file or an OpenVINO pair (.xml) on a picture for each input."""
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(list(pictures))
    return {name: np.array(found[output]) for output in compiled.outputs for name in output.get_names()}


def output_names(net: IFAN) -> tuple[str, ...]:
    """What the network gives of `OUTPUTS`, in that order."""
    with torch.no_grad():
        found = net(*[torch.from_numpy(array) for array in _random(net, net.multiple, net.multiple, count=1)])
    return tuple(name for name in OUTPUTS if getattr(found, name) is not None)


def prove(
    net: IFAN, run: Run, by: str, what: str, *, size: tuple[int, int] | None = None, tolerance: float = TOLERANCE
) -> Proof:
    """Compare a file with the network that it was written from.

    Args:
        net: in float32 and evaluation mode, on the CPU.
        run: runs the file on (N, 3, H, W) photos and, for two views, (N, 6, H, W) pairs; gives its outputs by name.
        by: name and version of what runs it.
        what: names the file in a refusal.
        size: width and height in px if the file takes no other; else several are tried, none of them traced.
        tolerance: the largest difference allowed.

    Raises:
        WeightsError: it differs by more.
    """
    if size is None:
        height, width = (cells * net.multiple for cells in _RANDOM_CELLS)
        cases = (_random(net, height, width), _photograph(net))
    else:
        width, height = size
        cases = (_random(net, height, width, count=1), _photograph(net, height, width))
    random, photo = (_difference(net, run, case) for case in cases)
    shapes = " and ".join("x".join(map(str, case[0].shape)) for case in cases)
    proof = Proof(random, photo, f"{by} float32 on {shapes}", tolerance)
    if not proof.difference <= tolerance:
        raise WeightsError(
            f"{what} differs from torch by {proof.difference:.3g}",
            f"at most {tolerance:g} in float32",
            "another format, and report this network: an operation is translated wrongly",
        )
    return proof


def _difference(net: IFAN, run: Run, case: Sequence[NDArray[np.float32]]) -> float:
    with torch.no_grad():
        wanted = net(*[torch.from_numpy(array) for array in case])
    found = run(case)
    names = [name for name in OUTPUTS if getattr(wanted, name) is not None]
    return max(float(np.abs(found[name] - getattr(wanted, name).numpy()).max()) for name in names)


def _random(net: IFAN, height: int, width: int, *, count: int = 2) -> tuple[NDArray[np.float32], ...]:
    drawn = np.random.default_rng(1)
    channels = (3,) if net.views == 1 else (3, 6)
    return tuple(drawn.random((count, bands, height, width), dtype=np.float32) for bands in channels)


def _photograph(net: IFAN, height: int | None = None, width: int | None = None) -> tuple[NDArray[np.float32], ...]:
    """The photograph of this folder at its own or another size (repeated or cut), and its views by shifting it."""
    pixels = photograph()
    height, width = height or pixels.shape[0], width or pixels.shape[1]
    missing = (max(height - pixels.shape[0], 0), max(width - pixels.shape[1], 0))
    pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")[:height, :width]
    centre = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
    if net.views == 1:
        return (centre,)
    right, left = (np.roll(centre, shift, axis=3) for shift in (_VIEW_SHIFT_PX, -_VIEW_SHIFT_PX))
    return centre, np.concatenate([right, left], axis=1)


@lru_cache(maxsize=1)
def photograph() -> NDArray[np.float32]:
    """(160, 224, 3) in [0, 1]: part of "chelsea" by Stéfan van der Walt (CC0), out of focus around the eyes."""
    photo = decode(files("allfocus.checkpoints").joinpath("photograph.jpg").read_bytes())
    return photo.unit().read(Box(0, 0, photo.width, photo.height))
