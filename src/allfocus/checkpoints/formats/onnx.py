"""ONNX, whole in one file: the tensors lie inside, as the float16 or float32 numbers that the network has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.checkpoints.formats import Export, Size
from allfocus.checkpoints.graph import onnx_package, trace_ifan
from allfocus.checkpoints.native import save
from allfocus.checkpoints.proof import OPENVINO, run_graph
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture


class OnnxExport(Export):
    """A network as one ONNX file."""

    by = OPENVINO

    def __init__(self, net: IFAN, architecture: Architecture, folder: Path, size: Size | None = None) -> None:
        onnx = onnx_package()
        weights = folder / "tensors.safetensors"
        save(net, architecture, weights, dtype=torch.float16 if _is_half(net) else torch.float32)
        self.model = trace_ifan(net, weights)
        onnx.external_data_helper.load_external_data_for_model(self.model, str(folder))
        if size is not None:
            _fix(self.model, net.multiple, *size)
        onnx.checker.check_model(self.model, full_check=True)

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        del self.model.metadata_props[:]
        for key, value in facts.items():
            self.model.metadata_props.add(key=key, value=value)
        path.write_bytes(self.model.SerializeToString())

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        return run_graph(path, pictures)

    @staticmethod
    def read_facts(path: Path) -> dict[str, str]:
        model = onnx_package().load(str(path), load_external_data=False)
        return {entry.key: entry.value for entry in model.metadata_props}


def _is_half(net: IFAN) -> bool:
    """Whether float16 holds every number of the network exactly, as it does for released models."""
    return all(torch.equal(tensor, tensor.half().float()) for tensor in net.state_dict().values())


def _fix(model: Any, multiple: int, width: int, height: int) -> None:
    """One photo of one size instead of any number of any size."""
    for value in (*model.graph.input, *model.graph.output):
        cell = multiple if value.name == "disparity" else 1
        axes = value.type.tensor_type.shape.dim
        for axis, length in zip((axes[0], axes[2], axes[3]), (1, height // cell, width // cell), strict=True):
            axis.dim_value = length
