from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import openvino
import pytest
import torch
from torch import nn
from torch.nn import functional

from allfocus.checkpoints.graph import ShippedGraph, trace, write_graph
from allfocus.checkpoints.native import load, save
from allfocus.errors import EngineError, WeightsError
from allfocus.nets.registry import Architecture

FAST = Architecture(iterations=2, unshuffle=2, width=8)
NETWORKS = {
    "full": Architecture(iterations=3, width=8),
    "fast": FAST,
    "quarter size": Architecture(iterations=2, unshuffle=4, width=8),
    "tied": Architecture(iterations=2, width=8, tied=True),
    "dual": Architecture(iterations=2, width=8, views=2),
    "dual fast": Architecture(iterations=2, width=8, views=2, unshuffle=2),
    "plain": Architecture(width=8, family="plain"),
    "filters": Architecture(iterations=2, width=8, family="filters"),
    "disparity": Architecture(width=8, family="disparity"),
}


def saved(architecture: Architecture, folder: Path, dtype: torch.dtype = torch.float16) -> Path:
    torch.manual_seed(0)
    save(architecture.build(), architecture, folder / "net.safetensors", dtype=dtype)
    return folder / "net.safetensors"


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ShippedGraph]:
    """The weights and the export of one network, written once."""
    weights = saved(FAST, tmp_path_factory.mktemp("fast"))
    return weights, write_graph(FAST.build(), weights, weights.with_suffix(".onnx"))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    architecture = NETWORKS[name]
    weights = saved(architecture, tmp_path)
    exported = write_graph(architecture.build(), weights, tmp_path / "net.onnx")
    assert exported.proof.difference < 1e-5
    assert exported.inputs == (("photo", "pair") if architecture.views == 2 else ("photo",))
    assert exported.outputs == (("residual",) if name in ("plain", "filters") else ("residual", "disparity"))
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.safetensors"]


def test_the_check_is_not_the_only_witness(fast: tuple[Path, ShippedGraph]) -> None:
    """Large residuals, another size, and ONNX's own reference implementation instead of an engine."""
    from onnx.reference import ReferenceEvaluator

    weights, exported = fast
    photo = torch.rand(1, 3, 16, 32)
    with torch.no_grad():
        wanted = load(weights)(photo)
    residual, disparity = ReferenceEvaluator(str(exported.path)).run(None, {"photo": photo.numpy()})
    np.testing.assert_allclose(residual, wanted.residual.numpy(), atol=1e-4)
    np.testing.assert_allclose(disparity, wanted.disparity.numpy(), atol=1e-4)
    assert np.abs(residual).max() > 0.01


def test_every_tensor_is_a_range_of_the_weights_file(fast: tuple[Path, ShippedGraph]) -> None:
    weights, exported = fast
    check_ranges(weights, exported.path, np.float16)


def test_float32_weights_need_no_cast(tmp_path: Path) -> None:
    weights = saved(FAST, tmp_path, torch.float32)
    graph = write_graph(FAST.build(), weights, tmp_path / "net.onnx").path
    check_ranges(weights, graph, np.float32)
    assert "Cast" not in {node.op_type for node in onnx.load(str(graph), load_external_data=False).graph.node}


def check_ranges(weights: Path, graph: Path, dtype: type) -> None:
    model = onnx.load(str(graph), load_external_data=False)
    tensors = {name.removesuffix(".stored"): tensor for tensor in model.graph.initializer if (name := tensor.name)}
    data = weights.read_bytes()
    for name, parameter in load(weights).state_dict().items():
        tensor = tensors.pop(name)
        where = {entry.key: entry.value for entry in tensor.external_data}
        assert where["location"] == "net.safetensors"
        begin, length = int(where["offset"]), int(where["length"])
        values = np.frombuffer(data[begin : begin + length], dtype)
        np.testing.assert_array_equal(values.reshape(parameter.shape), parameter.numpy())
    assert all(tensor.data_type == onnx.TensorProto.INT64 for tensor in tensors.values())
    assert graph.stat().st_size < 100_000


def test_the_difference_is_stored_in_the_file(fast: tuple[Path, ShippedGraph]) -> None:
    exported = fast[1]
    model = onnx.load(str(exported.path), load_external_data=False)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    assert float(kept["difference_to_torch"]) == pytest.approx(exported.proof.difference, rel=0.01)
    assert kept["checked_with"].startswith("OpenVINO 20")
    assert kept["checked_with"].endswith("float32 on 2x3x80x112 and 1x3x160x224")


def test_a_graph_that_differs_is_refused_and_not_left_behind(tmp_path: Path) -> None:
    weights = saved(FAST, tmp_path)
    with pytest.raises(WeightsError, match=r"the graph of net\.safetensors differs from torch by .*at most 0 "):
        write_graph(FAST.build(), weights, tmp_path / "net.onnx", tolerance=0)
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_the_weights_of_the_file_count_not_those_of_the_network(tmp_path: Path) -> None:
    weights = saved(FAST, tmp_path)
    broken = FAST.build()
    with torch.no_grad():
        broken.decoder.out[0].bias.fill_(9.0)
    assert write_graph(broken, weights, tmp_path / "net.onnx").proof.difference < 1e-5


def test_weights_elsewhere_or_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = saved(FAST, tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(WeightsError, match="both in one folder"):
        write_graph(FAST.build(), weights, tmp_path / "other" / "net.onnx")
    with pytest.raises(WeightsError, match="does not fit the network"):
        write_graph(Architecture(iterations=4, unshuffle=2, width=8).build(), weights, tmp_path / "net.onnx")


class Result(NamedTuple):
    result: torch.Tensor


class Shuffled(nn.Module):
    """Channels in an order that only the right pixel unshuffle gives."""

    def __init__(self, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(12, 5, kernel, stride=stride, padding=kernel // 2)

    def forward(self, photo: torch.Tensor) -> Result:
        return Result(self.convolution(functional.pixel_unshuffle(photo, 2)))


class Rearranged(nn.Module):
    """A pixel unshuffle that no convolution follows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1, 12, 1, 1))

    def forward(self, photo: torch.Tensor) -> Result:
        return Result(functional.pixel_unshuffle(photo, 2) * self.weight)


@pytest.mark.parametrize("network", [Shuffled(), Shuffled(stride=2), Shuffled(kernel=1), Rearranged()])
def test_pixel_unshuffle_has_the_channel_order_of_torch(network: nn.Module, tmp_path: Path) -> None:
    found = traced(network.eval(), tmp_path)(torch.rand(2, 3, 8, 12))
    assert found < 1e-5


class Clamped(nn.Module):
    def forward(self, photo: torch.Tensor) -> Result:
        return Result(photo.clamp(0, 1))


class Halved(nn.Module):
    def forward(self, photo: torch.Tensor) -> Result:
        return Result(photo * 0.5)


class Flattened(nn.Module):
    def forward(self, photo: torch.Tensor) -> Result:
        return Result(photo.unflatten(1, (1, 3)))


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (
            Clamped(),
            "the network uses aten.clamp.default, which has no ONNX counterpart here; expected one of aten.conv",
        ),
        (Halved(), "expected two tensors"),
        (Flattened(), "reshapes features"),
    ],
)
def test_an_operation_without_counterpart_is_named(network: nn.Module, told: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=told):
        traced(network, tmp_path)


def traced(network: nn.Module, folder: Path):
    """Trace a network with the weights it has; what comes back measures its difference to torch on a photo."""
    import safetensors.torch

    stored = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    safetensors.torch.save_file(stored, folder / "net.safetensors")
    model = trace(network, [torch.rand(2, 3, 16, 24)], ["photo"], ["result"], folder / "net.safetensors")
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    compiled = openvino.Core().compile_model(folder / "net.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def difference(photo: torch.Tensor) -> float:
        with torch.no_grad():
            wanted = network(photo).result.numpy()
        found = compiled([photo.numpy()])["result"]
        assert found.shape == wanted.shape
        return float(np.abs(found - wanted).max())

    return difference
