"""Exports: every format agrees with torch, says so in its metadata, and is not kept when it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
import torch

from allfocus.checkpoints import official
from allfocus.checkpoints.export import Exported, export
from allfocus.checkpoints.formats import FORMATS, Size, format_class
from allfocus.checkpoints.formats.onnx import OnnxExport
from allfocus.errors import OptionError, OutputError, WeightsError
from allfocus.nets.dmenet import DMENet
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture, architecture

SMALL = {
    "ifan": Architecture(iterations=2, width=8),
    "ifan-fast": Architecture(iterations=2, width=8, unshuffle=2),
    "ifan-dual": Architecture(iterations=2, width=8, views=2),
}
FIXED = Size(96, 64)


def built(wanted: Architecture) -> IFAN:
    torch.manual_seed(0)
    return wanted.build().eval()


def pictures(net: IFAN, count: int, height: int, width: int) -> list[torch.Tensor]:
    channels = (3,) if net.views == 1 else (3, 6)
    return [torch.rand(count, bands, height, width) for bands in channels]


def check(net: IFAN, run: Any, seen: Sequence[torch.Tensor]) -> None:
    """Large outputs too, on pictures that the export itself has not seen."""
    with torch.no_grad():
        wanted = net(*seen)
    found = run([picture.numpy() for picture in seen])
    np.testing.assert_allclose(found[0], wanted.residual.numpy(), atol=1e-4)
    np.testing.assert_allclose(found[1], wanted.disparity.numpy(), atol=1e-4)
    assert wanted.residual.abs().max() > 0.01


def on_openvino(path: Path) -> Any:
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: [compiled(inputs)[name] for name in ("residual", "disparity")]


def on_onnxruntime(path: Path) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda inputs: session.run(["residual", "disparity"], dict(zip(names, inputs, strict=True)))


@pytest.mark.parametrize("size", [None, FIXED], ids=["dynamic", "fixed"])
@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize("name", SMALL)
def test_graphs_agree_with_torch(name: str, format: str, size: Size | None, tmp_path: Path) -> None:
    net = built(SMALL[name])
    target = tmp_path / f"net{FORMATS[format].endings[0]}"
    done = export(net, SMALL[name], target, format, size=size, about={"model": name})
    assert done.proof.difference < 1e-5
    run = (on_onnxruntime if format == "onnx" else on_openvino)(target)
    check(net, run, pictures(net, 1, 64, 96))
    other = pictures(net, 3, 32, 48)
    if size is None:
        check(net, run, other)
    else:
        with pytest.raises(Exception, match=r"(?i)dimension|shape"):
            run([picture.numpy() for picture in other])
    facts = format_class(format).read_facts(target)
    assert facts["model"] == name
    assert float(facts["difference_on_random"]) == pytest.approx(done.proof.random, rel=0.01)
    assert float(facts["difference_on_photo"]) == pytest.approx(done.proof.photo, rel=0.01)
    assert facts["tolerance"] == "0.0001"
    assert facts["checked_with"].startswith("OpenVINO 20")
    assert facts["checked_with"].endswith("1x3x160x224" if size is None else "1x3x64x96")


def test_an_onnx_file_is_whole_and_the_pair_of_openvino_too(tmp_path: Path) -> None:
    net = built(SMALL["ifan-fast"])
    for format, names in (("onnx", ["net.onnx"]), ("openvino", ["net.bin", "net.xml"])):
        folder = tmp_path / format
        folder.mkdir()
        done = export(net, SMALL["ifan-fast"], folder / names[-1], format)
        assert [path.name for path in done.files] == names
        assert sorted(path.name for path in folder.iterdir()) == names
    model = onnx.load(str(tmp_path / "onnx" / "net.onnx"), load_external_data=False)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_numbers_that_float16_holds_are_stored_in_float16(tmp_path: Path) -> None:
    net = built(SMALL["ifan"])
    sizes = []
    for one in (net, built(SMALL["ifan"]).half().float()):
        done = export(one, SMALL["ifan"], tmp_path / "net.onnx", "onnx", overwrite=True)
        sizes.append(done.path.stat().st_size)
        assert done.proof.difference < 1e-5
    assert sizes[1] < 0.55 * sizes[0]


@pytest.mark.parametrize("name", SMALL)
def test_torchscript_takes_any_size(name: str, tmp_path: Path) -> None:
    net = built(SMALL[name])
    done = export(net, SMALL[name], tmp_path / "net.pt", "torchscript")
    script = torch.jit.load(str(done.path))

    def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            return [tensor.numpy() for tensor in script(*map(torch.from_numpy, inputs))]

    check(net, run, pictures(net, 1, 64, 96))
    check(net, run, pictures(net, 3, 32, 48))
    assert format_class("torchscript").read_facts(done.path) == done.proof.facts()


def test_a_released_checkpoint_is_read_as_one_and_holds_its_proof(tmp_path: Path) -> None:
    wanted = Architecture(iterations=1, tied=True)
    net = built(wanted)
    done = export(net, wanted, tmp_path / "mine.pytorch", "official")
    assert done.proof.difference == 0
    found = official.read(done.path)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in net.state_dict().items())
    assert len(torch.load(done.path, weights_only=True)) == len(net.state_dict())
    assert format_class("official").read_facts(done.path) == done.proof.facts()


@pytest.mark.parametrize(
    ("wanted", "name", "format", "size", "told"),
    [
        (SMALL["ifan"], "net.onnx", "tflite", None, "format 'tflite'; expected one of onnx, openvino"),
        (SMALL["ifan"], "net.pt", "onnx", None, r"net\.pt for the format onnx; expected a name ending in \.onnx"),
        (SMALL["ifan-fast"], "net.onnx", "onnx", Size(1920, 1080), "multiples of 16 .*--size 1920x1088"),
        (SMALL["ifan"], "net.onnx", "onnx", Size(0, 8), "--size 8x8"),
        (SMALL["ifan"], "net.pt", "torchscript", FIXED, "leave --size out"),
        (SMALL["ifan"], "net.pytorch", "official", FIXED, "leave --size out"),
        (SMALL["ifan"], "net.pytorch", "official", None, "the released code computes nothing else"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    wanted: Architecture, name: str, format: str, size: Size | None, told: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=told):
        export(built(wanted), wanted, tmp_path / name, format, size=size)
    assert not list(tmp_path.iterdir())


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="a DMENet; expected a network of nets"):
        export(DMENet(), Architecture(), tmp_path / "net.onnx", "onnx")  # type: ignore[arg-type]


def test_a_file_that_differs_is_not_kept(tmp_path: Path) -> None:
    net = built(SMALL["ifan"])
    (tmp_path / "net.onnx").write_bytes(b"the one before")
    with pytest.raises(WeightsError, match=r"the onnx file of this network differs from torch by .* at most 0 in"):
        export(net, SMALL["ifan"], tmp_path / "net.onnx", "onnx", tolerance=0, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_bytes() == b"the one before"


def test_a_translation_that_is_wrong_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = OnnxExport.__init__

    def wrong(self: OnnxExport, net: IFAN, wanted: Architecture, folder: Path, size: Size | None = None) -> None:
        with torch.no_grad():
            net.decoder.out[0].bias.add_(1e-3)
        right(self, net, wanted, folder, size)
        with torch.no_grad():
            net.decoder.out[0].bias.sub_(1e-3)

    monkeypatch.setattr(OnnxExport, "__init__", wrong)
    with pytest.raises(WeightsError, match=r"differs from torch by 0\.001"):
        export(built(SMALL["ifan"]), SMALL["ifan"], tmp_path / "net.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"net\.bin already exists"):
        export(built(SMALL["ifan"]), SMALL["ifan"], tmp_path / "net.xml", "openvino")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("net.bin", b"mine")]
    with pytest.raises(OutputError, match="does not exist"):
        export(built(SMALL["ifan"]), SMALL["ifan"], tmp_path / "none" / "net.onnx", "onnx")


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, Size(320, 192)], ids=["dynamic", "fixed"])
@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize("name", SMALL)
def test_the_networks_as_they_ship(name: str, format: str, size: Size | None, tmp_path: Path) -> None:
    wanted = architecture(name)
    done: Exported = export(built(wanted), wanted, tmp_path / f"net{FORMATS[format].endings[0]}", format, size=size)
    assert done.proof.difference <= 1e-4
