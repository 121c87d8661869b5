"""TorchScript: the traced network in one file that torch runs without this package."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from allfocus.checkpoints.formats import Export, Size
from allfocus.checkpoints.graph import example_pictures
from allfocus.checkpoints.proof import output_names
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture

FACTS = "allfocus.json"


class TorchScriptExport(Export):
    """A network as torch runs it without this package."""

    by = f"TorchScript {torch.__version__}"
    takes_size = False

    def __init__(self, net: IFAN, architecture: Architecture, folder: Path, size: Size | None = None) -> None:
        self.names = output_names(net)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes that look constant are proven not to be; and jit is called old
            self.traced = torch.jit.trace(_Chosen(net, self.names), example_pictures(net), check_trace=False)

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(self.traced, str(path), _extra_files={FACTS: json.dumps(dict(facts))})

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore", DeprecationWarning)
            found = torch.jit.load(str(path))(*[torch.from_numpy(picture) for picture in pictures])
        return {name: tensor.numpy() for name, tensor in zip(self.names, found, strict=True)}

    @staticmethod
    def read_facts(path: Path) -> dict[str, str]:
        extra = {FACTS: ""}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.load(str(path), _extra_files=extra)
        return json.loads(extra[FACTS])


class _Chosen(nn.Module):
    """The outputs that an engine wants, as a tuple: a traced network may not return None."""

    def __init__(self, net: IFAN, names: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.names = net, names

    def forward(self, *pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.net(*pictures)
        return tuple(getattr(found, name) for name in self.names)
