"""OpenVINO's own form: NAME.xml with the graph and, beside it, NAME.bin with the tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.checkpoints.formats import onnx
from allfocus.checkpoints.openvino_run import VERSION, openvino, run_graph
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture

_ROOM = "allfocus"


class Translated:
    """See `formats.Written`."""

    by = VERSION

    def __init__(
        self, net: IFAN, architecture: Architecture, folder: Path, size: tuple[int, int] | None = None
    ) -> None:
        graph = folder / "graph.onnx"
        onnx.Translated(net, architecture, folder, size).save(graph, {})
        self.model = openvino.Core().read_model(graph)

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        """See `formats.Written.save`."""
        for key, value in facts.items():
            self.model.set_rt_info(value, [_ROOM, key])
        openvino.save_model(self.model, path, compress_to_fp16=False)

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        """See `formats.Written.run`."""
        return run_graph(path, pictures)


def read_facts(path: Path) -> dict[str, str]:
    """See `formats.facts_of`."""
    found = openvino.Core().read_model(path).get_rt_info(_ROOM).value
    return {key: str(value) for key, value in found.items()}
