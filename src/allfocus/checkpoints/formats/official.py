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
from allfocus.checkpoints.proof import OUTPUTS
from allfocus.errors import OptionError
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture

FACTS = "allfocus.json"


class Translated:
    """See `formats.Written`."""

    by = f"torch {torch.__version__}"

    def __init__(
        self, net: IFAN, architecture: Architecture, folder: Path, size: tuple[int, int] | None = None
    ) -> None:
        if size is not None:
            raise OptionError(f"a checkpoint for {size[0]}x{size[1]} only", "weights fit any size", "leave --size out")
        self.net = net

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        """See `formats.Written.save`."""
        official.write(self.net, path)
        with zipfile.ZipFile(path, "a") as file:
            root = file.namelist()[0].split("/")[0]
            file.writestr(f"{root}/{FACTS}", json.dumps(dict(facts)))

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        """See `formats.Written.run`."""
        net = official.read(path).build().eval()
        with torch.no_grad():
            found = net(*[torch.from_numpy(picture) for picture in pictures])
        return {name: getattr(found, name).numpy() for name in OUTPUTS}


def read_facts(path: Path) -> dict[str, str]:
    """See `formats.facts_of`."""
    with zipfile.ZipFile(path) as file:
        record = next(name for name in file.namelist() if name.endswith(f"/{FACTS}"))
        return json.loads(file.read(record))
