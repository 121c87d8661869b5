"""A torch network as an ONNX graph whose tensors are byte ranges of the network's safetensors file.

The network is traced by torch.export; each of its few operations becomes the ONNX node of one function in
`_OPERATIONS`, under the name of its module. Weights keep the order in which they are stored: where the network regroups
them (the taps of IFAN's filter head), the graph has that regrouping on the constants, and an engine folds it at load.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from allfocus.atomic_file import AtomicFile
from allfocus.checkpoints.native import load_into
from allfocus.checkpoints.proof import OPENVINO, TOLERANCE, Proof, output_names, prove, run_graph
from allfocus.errors import EngineError, WeightsError, needs
from allfocus.nets.ifan import IFAN

OPSET = 17
IR_VERSION = 8
_END = 2**63 - 1
_TRACED = (3, 4)  # cells down and across; the proof uses other sizes, so that one kept in the graph shows


def trace(
    network: nn.Module,
    examples: Sequence[torch.Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    weights: Path,
) -> Any:
    """Build the ONNX model of a network.

    Args:
        network: takes the examples and returns a named tuple; its parameter names are those that are stored.
        examples: (N, C, H, W) each; no size of theirs stays in the graph, every axis but C is free.
        inputs: a name for each example.
        outputs: fields of the named tuple that the graph gives.
        weights: safetensors file (float16 or float32) with every parameter; the graph refers to it by its file name,
            so the two live in one folder.

    Returns:
        onnx.ModelProto.

    Raises:
        EngineError: an operation that has no counterpart here.
        WeightsError: a parameter that the file lacks.
        MissingExtraError: onnx is not installed.
    """
    helper = onnx_package().helper
    with torch.no_grad():
        fields = type(network(*examples))._fields
        program: Any = torch.export.export(network, tuple(examples), strict=False)
    results = dict(zip(fields, program.graph.output_node().args[0], strict=True))
    needed = _ancestors([results[name] for name in outputs])
    graph = _Graph(program.graph_signature.inputs_to_parameters, weights)
    names = iter(inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name not in graph.parameters:
            graph.values[node] = next(names)
        elif node.op == "call_function" and node in needed:
            graph.values[node] = graph.convert(node)
    for name in outputs:
        graph.add("Identity", [graph.values[results[name]]], name, name)
    proto = helper.make_graph(
        graph.nodes,
        type(network).__name__,
        [graph.describe(name, example) for name, example in zip(inputs, examples, strict=True)],
        [graph.describe(name, results[name].meta["val"]) for name in outputs],
        graph.initialisers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="allfocus")


def example_pictures(net: IFAN) -> tuple[torch.Tensor, ...]:
    """A photo and, for two views, a pair to trace a network with; the proof uses other sizes."""
    rows, columns = (cells * net.multiple for cells in _TRACED)
    return tuple(torch.rand(2, channels, rows, columns) for channels in ((3,) if net.views == 1 else (3, 6)))


def trace_ifan(net: IFAN, weights: Path) -> Any:
    """`trace` with the inputs "photo" and, for two views, "pair", and with every output that the network has."""
    examples = example_pictures(net)
    return trace(net, examples, ("photo", "pair")[: len(examples)], output_names(net), weights)


@dataclass(frozen=True)
class ShippedGraph:
    """A graph that was written and checked: file, names of inputs and outputs, and its differences to torch."""

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    proof: Proof


def write_graph(net: IFAN, weights_path: Path, graph_path: Path, *, tolerance: float = TOLERANCE) -> ShippedGraph:
    """Write the graph of a network whose tensors are in `weights_path`, and check it against torch.

    Inputs and outputs as in `export.export`; number, height and width of the pictures are free.

    Args:
        net: the network; its weights are read from the file.
        weights_path: as `native.save` wrote it.
        graph_path: NAME.onnx, in the folder of the weights; appears only when the check has passed.
        tolerance: largest absolute difference to torch in float32.

    Raises:
        WeightsError: the weights do not fit, are elsewhere, or the graph computes something else than torch.
        EngineError: the network uses an operation that has no counterpart.
        MissingExtraError: onnx or safetensors is not installed.
    """
    weights_path, graph_path = Path(weights_path), Path(graph_path)
    if weights_path.resolve().parent != graph_path.resolve().parent:
        raise WeightsError(f"{graph_path} is not beside {weights_path}", "both in one folder", "copy the weights there")
    reference = copy.deepcopy(net).float().cpu().eval()
    load_into(reference, weights_path)
    model = trace_ifan(reference, weights_path)
    with AtomicFile(graph_path, overwrite=True) as file:
        file.temporary.write_bytes(model.SerializeToString())
        proof = prove(
            reference,
            lambda pictures: run_graph(file.temporary, pictures),
            OPENVINO,
            f"the graph of {weights_path.name}",
            tolerance=tolerance,
        )
        for key, value in proof.facts().items():
            model.metadata_props.add(key=key, value=value)
        file.temporary.write_bytes(model.SerializeToString())
    inputs, outputs = (tuple(value.name for value in values) for values in (model.graph.input, model.graph.output))
    return ShippedGraph(graph_path, inputs, outputs, proof)


def _ancestors(results: Sequence[Any]) -> set[Any]:
    """Every node that a result depends on, the results included."""
    pending = list(results)
    found: set[Any] = set()
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending.extend(node.all_input_nodes)
    return found


class _Graph:
    """Nodes and initialisers while they grow; `parameters` maps the placeholders' names to the parameters'."""

    def __init__(self, parameters: Mapping[str, str], weights: Path) -> None:
        self.onnx = onnx_package()
        self.parameters = parameters
        self.weights = weights
        self.base, self.stored = _header(weights)
        self.nodes: list[Any] = []
        self.initialisers: list[Any] = []
        self.values: dict[Any, str] = {}  # torch.fx.Node -> name in the graph
        self._integers: dict[tuple[int, ...] | int, str] = {}

    def add(self, kind: str, inputs: list[str], output: str, name: str, **attributes: Any) -> str:
        """Append a node of one output and give that output's name."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def describe(self, name: str, tensor: torch.Tensor) -> Any:
        """The declaration of an input or output: every axis but the channels is free."""
        axes = ["n", tensor.shape[1], f"{name}_h", f"{name}_w"]
        return self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT, axes)

    def convert(self, node: Any) -> str:
        """Append what one traced operation is in ONNX and give its output's name."""
        kind = str(node.target)
        if kind not in _OPERATIONS:
            raise EngineError(
                f"the network uses {kind}, which has no ONNX counterpart here",
                f"one of {', '.join(_OPERATIONS)}",
                "add it to checkpoints/graph.py",
            )
        return _OPERATIONS[kind](self, node)

    def place(self, node: Any) -> str:
        """Name of a node in the graph: its module's path, then its own name."""
        stack = node.meta.get("nn_module_stack") or {}
        path = next(reversed(stack.values()))[0] if stack else ""
        return f"{path}/{node.name}" if path else node.name

    def tensor(self, node: Any) -> str:
        """The value of an argument; a parameter enters the graph when it is first used."""
        if node not in self.values:
            self.values[node] = self._parameter(self.parameters[node.name])
        return self.values[node]

    def constant(self, node: Any) -> bool:
        """Whether a value depends on parameters alone."""
        if node.op == "placeholder":
            return node.name in self.parameters
        return bool(node.all_input_nodes) and all(self.constant(one) for one in node.all_input_nodes)

    def integers(self, values: tuple[int, ...] | int) -> str:
        """An int64 constant (a tuple is a vector), kept once."""
        if values not in self._integers:
            listed = [values] if isinstance(values, int) else list(values)
            name = "_".join(["int64", *map(str, listed)]) if len(listed) < 8 else f"int64_list_{len(self._integers)}"
            name = f"{name}_scalar" if isinstance(values, int) else name
            shape = [] if isinstance(values, int) else [len(listed)]
            kind = self.onnx.TensorProto.INT64
            self.initialisers.append(self.onnx.helper.make_tensor(name, kind, shape, listed))
            self._integers[values] = name
        return self._integers[values]

    def _parameter(self, name: str) -> str:
        if name not in self.stored:
            raise WeightsError(f"{self.weights} has no tensor {name}", "every tensor of the network", "save it again")
        entry = self.stored[name]
        kinds = {"F16": self.onnx.TensorProto.FLOAT16, "F32": self.onnx.TensorProto.FLOAT}
        if entry["dtype"] not in kinds:
            raise WeightsError(f"{name} is stored as {entry['dtype']}", "F16 or F32", "save the weights again")
        begin, end = entry["data_offsets"]
        kind = kinds[entry["dtype"]]
        half = entry["dtype"] == "F16"
        tensor = self.onnx.TensorProto(
            name=f"{name}.stored" if half else name,
            data_type=kind,
            dims=entry["shape"],
            data_location=self.onnx.TensorProto.EXTERNAL,
        )
        where = {"location": self.weights.name, "offset": str(self.base + begin), "length": str(end - begin)}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=value)
        self.initialisers.append(tensor)
        if half:
            self.add("Cast", [tensor.name], name, f"{name}/float32", to=self.onnx.TensorProto.FLOAT)
        return name


def _convolution(graph: _Graph, node: Any) -> str:
    picture, weight, bias, stride, padding, dilation, groups = _filled(
        node.args, (None, None, None, [1, 1], [0, 0], [1, 1], 1)
    )
    kernel = list(weight.meta["val"].shape[2:])
    inputs = [graph.tensor(weight)] + ([graph.tensor(bias)] if bias is not None else [])
    if str(picture.target) == "aten.pixel_unshuffle.default" and groups == 1 and list(dilation) == [1, 1]:
        # the same sum over the input itself: one strided convolution with a larger kernel, and no shuffled copy
        shuffled, factor = picture, picture.args[1]
        picture = shuffled.args[0]
        channels = picture.meta["val"].shape[1]
        place = graph.place(node)
        apart = graph.integers((weight.meta["val"].shape[0], channels, factor, factor, *kernel))
        split = graph.add("Reshape", [inputs[0], apart], f"{node.name}_apart", f"{place}/apart")
        order = graph.add("Transpose", [split], f"{node.name}_order", f"{place}/order", perm=[0, 1, 4, 2, 5, 3])
        kernel = [side * factor for side in kernel]
        joined = graph.integers((weight.meta["val"].shape[0], channels, *kernel))
        inputs[0] = graph.add("Reshape", [order, joined], f"{node.name}_kernel", f"{place}/kernel")
        stride, padding = [side * factor for side in stride], [side * factor for side in padding]
    return graph.add(
        "Conv", [graph.tensor(picture), *inputs], node.name, graph.place(node), kernel_shape=kernel,
        strides=list(stride), pads=[*padding, *padding], dilations=list(dilation), group=groups,
    )  # fmt: skip


def _transposed_convolution(graph: _Graph, node: Any) -> str:
    picture, weight, bias, stride, padding, extra, groups, dilation = _filled(
        node.args, (None, None, None, [1, 1], [0, 0], [0, 0], 1, [1, 1])
    )
    inputs = [graph.tensor(one) for one in (picture, weight, bias) if one is not None]
    return graph.add(
        "ConvTranspose", inputs, node.name, graph.place(node), kernel_shape=list(weight.meta["val"].shape[2:]),
        strides=list(stride), pads=[*padding, *padding], output_padding=list(extra), dilations=list(dilation),
        group=groups,
    )  # fmt: skip


def _leaky_relu(graph: _Graph, node: Any) -> str:
    picture, slope = _filled(node.args, (None, 0.01))
    return graph.add("LeakyRelu", [graph.tensor(picture)], node.name, graph.place(node), alpha=slope)


def _elementwise(kind: str) -> Callable[[_Graph, Any], str]:
    def convert(graph: _Graph, node: Any) -> str:
        if node.kwargs or not all(isinstance(one, torch.fx.Node) for one in node.args):
            raise EngineError(f"{node.name} of {kind} with {node.args} {node.kwargs}", "two tensors", "rewrite it")
        return graph.add(kind, [graph.tensor(one) for one in node.args], node.name, graph.place(node))

    return convert


def _concatenate(graph: _Graph, node: Any) -> str:
    tensors, axis = _filled(node.args, ([], 0))
    return graph.add("Concat", [graph.tensor(one) for one in tensors], node.name, graph.place(node), axis=axis)


def _slice(graph: _Graph, node: Any) -> str:
    tensor, axis, start, end, step = _filled(node.args, (None, 0, 0, _END, 1))
    bounds = [graph.integers((value,)) for value in (start or 0, _END if end is None else end, axis, step)]
    return graph.add("Slice", [graph.tensor(tensor), *bounds], node.name, graph.place(node))


def _select(graph: _Graph, node: Any) -> str:
    tensor, axis, index = node.args
    return graph.add("Gather", [graph.tensor(tensor), graph.integers(index)], node.name, graph.place(node), axis=axis)


def _unflatten(graph: _Graph, node: Any) -> str:
    tensor = node.args[0]
    if not graph.constant(tensor):
        raise EngineError(f"{node.name} reshapes features", "reshapes of weights only", "keep sizes out of the graph")
    shape = graph.integers(tuple(node.meta["val"].shape))
    return graph.add("Reshape", [graph.tensor(tensor), shape], node.name, graph.place(node))


def _pixel_shuffle(graph: _Graph, node: Any) -> str:
    picture, factor = node.args
    return graph.add(
        "DepthToSpace", [graph.tensor(picture)], node.name, graph.place(node), blocksize=factor, mode="CRD"
    )


def _pixel_unshuffle(graph: _Graph, node: Any) -> str:
    if all(str(user.target) == "aten.conv2d.default" for user in node.users):
        return node.name  # the convolutions read the input itself
    picture, factor = node.args
    place = graph.place(node)
    channels = picture.meta["val"].shape[1]
    block = factor * factor
    stacked = graph.add(
        "SpaceToDepth", [graph.tensor(picture)], f"{node.name}_stacked", f"{place}/stacked", blocksize=factor
    )
    # ONNX puts the position in the block before the channel, torch after it
    order = tuple(position * channels + channel for channel in range(channels) for position in range(block))
    return graph.add("Gather", [stacked, graph.integers(order)], node.name, place, axis=1)


_OPERATIONS: dict[str, Callable[[_Graph, Any], str]] = {
    "aten.conv2d.default": _convolution,
    "aten.conv_transpose2d.input": _transposed_convolution,
    "aten.leaky_relu.default": _leaky_relu,
    "aten.add.Tensor": _elementwise("Add"),
    "aten.sub.Tensor": _elementwise("Sub"),
    "aten.mul.Tensor": _elementwise("Mul"),
    "aten.cat.default": _concatenate,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "aten.unflatten.int": _unflatten,
    "aten.pixel_shuffle.default": _pixel_shuffle,
    "aten.pixel_unshuffle.default": _pixel_unshuffle,
}


def _filled(arguments: tuple[Any, ...], defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*arguments, *defaults[len(arguments) :])


def _header(weights: Path) -> tuple[int, dict[str, Any]]:
    """Where the data of a safetensors file begins, and its table of tensors (8 bytes of length, then JSON)."""
    try:
        with weights.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > weights.stat().st_size:
                raise ValueError("the header is longer than the file")
            table = json.loads(file.read(length))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{weights} is damaged ({error})", "a safetensors file", "save the weights again") from error
    table.pop("__metadata__", None)
    return 8 + length, table


def onnx_package() -> Any:
    """The package; MissingExtraError where it is not installed."""
    with needs("writing ONNX", "train", "onnx"):
        import onnx
        import onnx.checker
        import onnx.external_data_helper
        import onnx.helper
    return onnx
