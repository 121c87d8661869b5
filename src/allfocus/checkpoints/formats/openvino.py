"""OpenVINO's own form: NAME.xml with the graph and, beside it, NAME.bin with the tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.checkpoints.formats import Export, Size
from allfocus.checkpoints.formats.onnx import OnnxExport
from allfocus.checkpoints.proof import OPENVINO, openvino, run_graph
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture

_SECTION = "allfocus"


class OpenVINOExport(Export):
    """A network as NAME.xml and NAME.bin."""

    by = OPENVINO

    def __init__(self, net: IFAN, architecture: Architecture, folder: Path, size: Size | None = None) -> None:
        graph = folder / "graph.onnx"
        OnnxExport(net, architecture, folder, size).save(graph, {})
        self.model = openvino.Core().read_model(graph)

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        for key, value in facts.items():
            self.model.set_rt_info(value, [_SECTION, key])
        openvino.save_model(self.model, path, compress_to_fp16=False)

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        return run_graph(path, pictures)

    @staticmethod
    def read_facts(path: Path) -> dict[str, str]:
        found = openvino.Core().read_model(path).get_rt_info(_SECTION).value
        return {key: str(value) for key, value in found.items()}
