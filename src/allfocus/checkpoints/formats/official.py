"""A released IFAN checkpoint, as the released code reads it; the proof is one more record of its zip file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.checkpoints import official
from allfocus.checkpoints.formats import Export, Size
from allfocus.checkpoints.proof import OUTPUTS
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture

FACTS = "allfocus.json"


class OfficialExport(Export):
    """A network as a released checkpoint."""

    by = f"torch {torch.__version__}"
    takes_size = False

    def __init__(self, net: IFAN, architecture: Architecture, folder: Path, size: Size | None = None) -> None:
        self.net = net

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        official.write(self.net, path)
        with zipfile.ZipFile(path, "a") as file:
            root = file.namelist()[0].split("/")[0]
            file.writestr(f"{root}/{FACTS}", json.dumps(dict(facts)))

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        net = official.read(path).build().eval()
        with torch.no_grad():
            found = net(*[torch.from_numpy(picture) for picture in pictures])
        return {name: getattr(found, name).numpy() for name in OUTPUTS}

    @staticmethod
    def read_facts(path: Path) -> dict[str, str]:
        with zipfile.ZipFile(path) as file:
            record = next(name for name in file.namelist() if name.endswith(f"/{FACTS}"))
            return json.loads(file.read(record))
