"""The ONNX graph of a released model: it holds no tensors, each is a byte range of the weights file beside it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch

from allfocus.atomic_file import AtomicFile
from allfocus.checkpoints.graph import trace
from allfocus.checkpoints.native import load_into
from allfocus.checkpoints.openvino_run import VERSION, run_graph
from allfocus.checkpoints.proof import TOLERANCE, Proof, output_names, prove
from allfocus.errors import WeightsError
from allfocus.nets.ifan import IFAN

_TRACED = (3, 4)  # cells down and across; the proof uses other sizes, so that one kept in the graph shows


@dataclass(frozen=True)
class ShippedGraph:
    """A graph that was written and checked.

    Attributes:
        path: the ONNX file.
        inputs: its input names.
        outputs: its output names.
        proof: its differences to torch; the same stands in its metadata.
    """

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    proof: Proof


def write_graph(net: IFAN, weights_path: Path, graph_path: Path, *, tolerance: float = TOLERANCE) -> ShippedGraph:
    """Write the graph of a network whose tensors are in `weights_path`, and check it against torch.

    Inputs are "photo" (N, 3, H, W) in [0, 1] and, for two views, "pair" (N, 6, H, W); N, H and W are free. Outputs
    are "residual" (N, 3, H, W), not clipped, and "disparity" (N, 1, H/m, W/m) where the network has it.

    Args:
        net: the network; its own weights are not looked at, those of the file are.
        weights_path: as `native.save` wrote it.
        graph_path: NAME.onnx, in the folder of the weights; appears only when the check has passed.
        tolerance: largest absolute difference to torch float32 that is let through.

    Raises:
        WeightsError: the weights do not fit, are elsewhere, or the graph computes something else than torch.
        EngineError: the network uses an operation that has no counterpart.
        MissingExtraError: onnx or safetensors is not installed.
    """
    weights_path, graph_path = Path(weights_path), Path(graph_path)
    if weights_path.resolve().parent != graph_path.resolve().parent:
        raise WeightsError(
            f"{graph_path} is not beside {weights_path}", "one folder for both", "copy the weights there"
        )
    reference = copy.deepcopy(net).float().cpu().eval()
    load_into(reference, weights_path)
    rows, columns = (cells * reference.multiple for cells in _TRACED)
    examples = [torch.rand(2, channels, rows, columns) for channels in ((3,) if reference.views == 1 else (3, 6))]
    inputs = ("photo", "pair")[: len(examples)]
    outputs = output_names(reference)
    model = trace(reference, examples, inputs, outputs, weights_path)
    with AtomicFile(graph_path, overwrite=True) as file:
        file.temporary.write_bytes(model.SerializeToString())
        proof = prove(
            reference,
            lambda pictures: run_graph(file.temporary, pictures),
            VERSION,
            f"the graph of {weights_path.name}",
            tolerance=tolerance,
        )
        for key, value in proof.facts().items():
            model.metadata_props.add(key=key, value=value)
        file.temporary.write_bytes(model.SerializeToString())
    return ShippedGraph(graph_path, inputs, outputs, proof)
