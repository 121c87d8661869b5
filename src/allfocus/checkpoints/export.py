"""Writing a network's ONNX graph and proving it: the file is kept only if it computes what torch computes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from allfocus.checkpoints.graph import trace
from allfocus.checkpoints.native import load_into
from allfocus.errors import WeightsError
from allfocus.nets.ifan import IFAN

TOLERANCE = 1e-4
_TRACED, _CHECKED = (3, 4), (5, 7)  # cells down and across; different, so that a size kept in the graph shows


@dataclass(frozen=True)
class Exported:
    """A graph that was written and checked.

    Attributes:
        graph: the ONNX file.
        inputs: its input names.
        outputs: its output names.
        difference: largest absolute difference to torch float32 over all outputs.
        checked_with: what ran the graph, and on which size.
    """

    graph: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float
    checked_with: str


def export_onnx(net: IFAN, weights_path: Path, graph_path: Path, *, tolerance: float = TOLERANCE) -> Exported:
    """Write the graph of a network whose tensors are in `weights_path`, and check it against torch.

    The graph holds no tensors: each is a byte range of the safetensors file, which must lie in the same folder.
    Inputs are "photo" (N, 3, H, W) in [0, 1] and, for two views, "pair" (N, 6, H, W); N, H and W are free. Outputs
    are "residual" (N, 3, H, W), not clipped, and "disparity" (N, 1, H/m, W/m) where the network has it.

    Args:
        net: the network; its own weights are not looked at, those of the file are.
        weights_path: as `native.save` wrote it.
        graph_path: NAME.onnx, in the folder of the weights; appears only when the check has passed.
        tolerance: largest absolute difference to torch float32 that is let through.

    Returns:
        What was written, with the difference; the same is stored in the file's metadata.

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
    examples = _examples(reference, *_TRACED, seed=0)
    inputs = ("photo", "pair")[: len(examples)]
    with torch.no_grad():
        found = reference(*examples)
    outputs = tuple(name for name in ("residual", "disparity") if getattr(found, name) is not None)
    model = trace(reference, examples, inputs, outputs, weights_path)
    beside = graph_path.with_name(f".{graph_path.name}")
    try:
        beside.write_bytes(model.SerializeToString())
        difference, checked_with = _difference(reference, beside, outputs)
        if not difference <= tolerance:
            raise WeightsError(
                f"the graph of {weights_path.name} differs from torch by {difference:.3g}",
                f"at most {tolerance:g} in float32",
                "report this network: an operation is translated wrongly",
            )
        model.metadata_props.add(key="difference_to_torch", value=f"{difference:.3g}")
        model.metadata_props.add(key="checked_with", value=checked_with)
        beside.write_bytes(model.SerializeToString())
        beside.replace(graph_path)
    finally:
        beside.unlink(missing_ok=True)
    return Exported(graph_path, inputs, outputs, difference, checked_with)


def _examples(net: IFAN, rows: int, columns: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Two random photos of so many cells, with the pairs of views where the network asks for them."""
    random = torch.Generator().manual_seed(seed)
    size = (rows * net.multiple, columns * net.multiple)
    channels = (3,) if net.views == 1 else (3, 6)
    return tuple(torch.rand(2, count, *size, generator=random) for count in channels)


def _difference(net: IFAN, graph: Path, outputs: Sequence[str]) -> tuple[float, str]:
    """Largest absolute difference between torch and OpenVINO in float32, on a size that was not traced."""
    import openvino

    examples = _examples(net, *_CHECKED, seed=1)
    with torch.no_grad():
        wanted = net(*examples)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    found = compiled([example.numpy() for example in examples])
    differences = [np.abs(found[name] - getattr(wanted, name).numpy()).max() for name in outputs]
    size = "x".join(map(str, examples[0].shape))
    return float(np.max(differences)), f"OpenVINO {openvino.__version__.split('-')[0]} float32 on {size}"
