"""The formats that a network is exported to. A new one is a file NAME.py here and a line in `FORMATS`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allfocus.errors import OptionError
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture


class FormatEntry(NamedTuple):
    """One format: the class that writes it, as MODULE:CLASS, and the endings of its file."""

    loads: str
    endings: tuple[str, ...]


FORMATS = {
    "onnx": FormatEntry("allfocus.checkpoints.formats.onnx:OnnxExport", (".onnx",)),
    "openvino": FormatEntry("allfocus.checkpoints.formats.openvino:OpenVINOExport", (".xml",)),
    "torchscript": FormatEntry(
        "allfocus.checkpoints.formats.torchscript:TorchScriptExport", (".pt", ".ts", ".torchscript")
    ),
    "official": FormatEntry("allfocus.checkpoints.formats.official:OfficialExport", (".pytorch", ".pth")),
}


class Size(NamedTuple):
    """Of the pictures that a file takes, in px."""

    width: int
    height: int


class Export(ABC):
    """A network in a format.

    Args:
        net: in float32 and evaluation mode, on the CPU.
        architecture: what builds it.
        folder: where scratch files may lie as long as the export is used.
        size: the only size of picture; any when None.
    """

    by: str
    """What runs such a file here, and its version."""
    takes_size = True
    """Whether a file may be for pictures of one size only."""

    @abstractmethod
    def __init__(self, net: IFAN, architecture: Architecture, folder: Path, size: Size | None = None) -> None: ...

    @abstractmethod
    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write the file, and what belongs to it beside it, with these facts in its own metadata."""

    @abstractmethod
    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        """Read a file and run it: photos (N, 3, H, W) and, for two views, pairs (N, 6, H, W) -> outputs by name."""

    @staticmethod
    @abstractmethod
    def read_facts(path: Path) -> dict[str, str]:
        """The metadata that `save` put into a file."""


def format_class(format: str) -> type[Export]:
    """The class of a format. OptionError: an unknown format. MissingExtraError: a package is not installed."""
    if format not in FORMATS:
        raise OptionError(f"format {format!r}", f"one of {', '.join(FORMATS)}", "--format onnx")
    module, _, name = FORMATS[format].loads.partition(":")
    return getattr(import_module(module), name)
