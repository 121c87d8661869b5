"""A network as an ONNX graph from picture to picture, of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from allfocus.atomic_file import AtomicFile
from allfocus.checkpoints.graph import onnx_package
from allfocus.checkpoints.proof import TOLERANCE, run_graph
from allfocus.errors import OptionError, WeightsError

INPUT, OUTPUT = "input", "output"
PROOF_SIZE = 75, 109
"""Height and width in px, multiples of nothing."""


def write_image_graph(source: Path, target: Path, multiple: int, *, overwrite: bool = False) -> float:
    """Write the graph of `source` so that it pads, runs, adds the photo, clips to [0, 1] and crops.

    Args:
        source: an ONNX file that `formats.onnx` wrote, for any size of photo.
        target: the file; its input "input" and output "output" are (1, 3, H, W) in [0, 1].
        multiple: of the network.
        overwrite: replace a file that is there.

    Returns:
        Its largest difference to the source's residual added by numpy, on a picture of an odd size.

    Raises:
        OptionError: a network of two views.
        WeightsError: it computes something else; no file is left.
        OutputError: the place cannot be written.
        MissingExtraError: onnx is not installed.
    """
    onnx = onnx_package()
    model: Any = onnx.load(str(source))
    if len(model.graph.input) != 1:
        raise OptionError("a network of two views", "a network of one view", "export it without --image")
    onnx.checker.check_model(_wrapped(model, multiple))
    height, width = PROOF_SIZE
    picture = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    padded = np.pad(picture, ((0, 0), (0, 0), (0, -height % multiple), (0, -width % multiple)), mode="edge")
    wanted = np.clip(picture + run_graph(source, [padded])["residual"][..., :height, :width], 0, 1)
    with AtomicFile(target, overwrite=overwrite) as file:
        file.temporary.write_bytes(model.SerializeToString())
        difference = float(np.abs(run_graph(file.temporary, [picture])[OUTPUT] - wanted).max())
        if not difference <= TOLERANCE:
            raise WeightsError(f"the picture graph is off by {difference:.1e}", f"at most {TOLERANCE:g}", "report it")
    return difference


def _wrapped(model: Any, multiple: int) -> Any:
    """The model with nodes before and after it; changed in place."""
    from onnx import TensorProto, helper, numpy_helper

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs.split(), [output], **attributes)

    graph = model.graph
    photo, residual = graph.input[0].name, "residual"
    constants = {
        "image.multiple": np.array([multiple], np.int64),
        "image.sides": np.array([2, 3], np.int64),
        "image.none": np.zeros(2, np.int64),
        "image.before": np.zeros(6, np.int64),
        "image.zero": np.array(0, np.float32),
        "image.one": np.array(1, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    before = [
        node("Shape", INPUT, "image.shape"),
        node("Gather", "image.shape image.sides", "image.size"),
        node("Neg", "image.size", "image.negative"),
        node("Mod", "image.negative image.multiple", "image.missing"),
        node("Concat", "image.before image.missing", "image.pads", axis=0),
        node("Pad", f"{INPUT} image.pads", photo, mode="edge"),
    ]
    after = [
        node("Add", f"{photo} {residual}", "image.sharp"),
        node("Clip", "image.sharp image.zero image.one", "image.clipped"),
        node("Slice", "image.clipped image.none image.size image.sides", OUTPUT),
    ]
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    shape = [1, 3, "height", "width"]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape))
    return model
