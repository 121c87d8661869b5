"""ONNX, whole in one file: the tensors lie inside, as the float16 or float32 numbers that the network has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.checkpoints.graph import trace
from allfocus.checkpoints.native import save
from allfocus.checkpoints.openvino_run import VERSION, run_graph
from allfocus.checkpoints.proof import output_names
from allfocus.errors import MissingExtraError
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture

_TRACED = (3, 4)  # cells down and across


class Translated:
    """See `formats.Written`."""

    by = VERSION

    def __init__(
        self, net: IFAN, architecture: Architecture, folder: Path, size: tuple[int, int] | None = None
    ) -> None:
        onnx = _onnx()
        weights = folder / "tensors.safetensors"
        save(net, architecture, weights, dtype=torch.float16 if _is_half(net) else torch.float32)
        rows, columns = (cells * net.multiple for cells in _TRACED)
        examples = [torch.rand(2, channels, rows, columns) for channels in ((3,) if net.views == 1 else (3, 6))]
        inputs = ("photo", "pair")[: len(examples)]
        self.model = trace(net, examples, inputs, output_names(net), weights)
        onnx.external_data_helper.load_external_data_for_model(self.model, str(folder))
        if size is not None:
            _fix(self.model, net.multiple, *size)
        onnx.checker.check_model(self.model, full_check=True)

    def save(self, path: Path, facts: Mapping[str, str]) -> None:
        """See `formats.Written.save`."""
        del self.model.metadata_props[:]
        for key, value in facts.items():
            self.model.metadata_props.add(key=key, value=value)
        path.write_bytes(self.model.SerializeToString())

    def run(self, path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        """See `formats.Written.run`."""
        return run_graph(path, pictures)


def read_facts(path: Path) -> dict[str, str]:
    """See `formats.facts_of`."""
    model = _onnx().load(str(path), load_external_data=False)
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


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.external_data_helper
    except ImportError as error:
        raise MissingExtraError("writing ONNX", "train", "onnx") from error
    return onnx
