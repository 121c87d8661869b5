"""The formats that a network is exported to. A new one is a file NAME.py here and a line in `FORMATS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from allfocus.errors import OptionError
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture

FORMATS = {
    "onnx": (".onnx",),
    "openvino": (".xml",),
    "torchscript": (".pt", ".ts", ".torchscript"),
    "official": (".pytorch", ".pth"),
}
"""Each format with the endings of its file; its module has `Translated` (see `Written`) and `read_facts`."""


class Size(NamedTuple):
    """Of the pictures that a file takes, in px."""

    width: int
    height: int


class Written(Protocol):
    """A network in a format. `__init__(net, architecture, folder, size)` translates it; `folder` is for scratch."""

    by: str
    """What runs such a file here, and its version."""

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write the file, and what belongs to it beside it, with these facts in its own metadata."""
        ...

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        """Read a file and run it: photos (N, 3, H, W) and, for two views, pairs (N, 6, H, W) -> outputs by name."""
        ...


def translate(format: str, net: IFAN, architecture: Architecture, folder: Path, size: Size | None) -> Written:
    """The network in a format, in memory.

    Args:
        format: of `FORMATS`.
        net: in float32 and evaluation mode, on the CPU.
        architecture: what builds it.
        folder: where scratch files may lie as long as the result is used.
        size: None for any size.

    Raises:
        OptionError: an unknown format, or one that does not know fixed sizes, or cannot hold this network.
        MissingExtraError: a package is not installed.
    """
    return import_module(f"allfocus.checkpoints.formats.{known(format)}").Translated(net, architecture, folder, size)


def facts_of(format: str, path: Path) -> dict[str, str]:
    """The metadata that `Written.save` put into a file.

    Raises:
        OptionError: an unknown format.
    """
    return import_module(f"allfocus.checkpoints.formats.{known(format)}").read_facts(path)


def known(format: str) -> str:
    """The format again, or a refusal.

    Raises:
        OptionError: an unknown format.
    """
    if format not in FORMATS:
        raise OptionError(f"format {format!r}", f"one of {', '.join(FORMATS)}", "--format onnx")
    return format
