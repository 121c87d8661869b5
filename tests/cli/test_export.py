"""`allfocus export` from a name, a weights file, a run or an untrained network to a file, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from allfocus.checkpoints.formats import format_class
from allfocus.checkpoints.native import save
from allfocus.checkpoints.release import release
from allfocus.cli.main import main
from allfocus.nets import registry
from allfocus.nets.registry import Architecture, NamedNetwork
from allfocus.train import state
from allfocus.train.config import NetConfig, TrainConfig

SMALL = Architecture(iterations=1, width=4, unshuffle=2)


def run(*arguments: object) -> int:
    """The command's exit code."""
    try:
        main(["export", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with one small model, and a network of that architecture in the registry."""
    folder = tmp_path / "models"
    torch.manual_seed(0)
    release(SMALL.build(), SMALL, "mine", folder, context_px=32)
    monkeypatch.setenv("ALLFOCUS_MODELS", str(folder))
    monkeypatch.setitem(registry.ENTRIES, "small", NamedNetwork(SMALL, "a small one"))
    return folder


def test_a_model_by_name(models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("mine", "-o", tmp_path / "a.onnx") == 0
    told = capfd.readouterr().out
    assert f"{tmp_path / 'a.onnx'}: mine, 0.3 MB, any size in multiples of 16 px" in told
    assert "differs from torch by" in told
    assert format_class("onnx").read_facts(tmp_path / "a.onnx")["model"] == "mine"
    assert run("mine", "-o", tmp_path / "a.onnx") == 2
    assert "a.onnx already exists" in capfd.readouterr().err


def test_json_names_every_file(models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("mine", "--format", "openvino", "-o", tmp_path / "a.xml", "--size", "64x32", "--json") == 0
    row = json.loads(capfd.readouterr().out)
    assert row["files"] == [str(tmp_path / "a.bin"), str(tmp_path / "a.xml")]
    assert float(row["difference_to_torch"]) <= 1e-4
    assert row["checked_with"].endswith("1x3x32x64 and 1x3x32x64")


def test_weights_alone_and_a_run(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    net = SMALL.build()
    save(net, SMALL, tmp_path / "alone.safetensors")
    assert run(tmp_path / "alone.safetensors", "-o", tmp_path / "a.onnx") == 0
    assert format_class("onnx").read_facts(tmp_path / "a.onnx")["model"] == "alone"
    (tmp_path / "run").mkdir()
    loaded = [TrainConfig(architecture="ifan-fast", net=NetConfig(iterations=1, width=4)), net, 12]
    monkeypatch.setattr(state, "load_averaged", lambda folder: loaded)
    assert run(tmp_path / "run", "-o", tmp_path / "b.pt", "--format", "torchscript") == 0
    assert format_class("torchscript").read_facts(tmp_path / "b.pt")["model"] == "run, step 12"
    loaded[0] = TrainConfig(architecture="dmenet")
    assert run(tmp_path / "run", "-o", tmp_path / "c.onnx") == 2
    assert "a run of dmenet; expected a run of the IFAN family" in capfd.readouterr().err


def test_a_network_without_weights_has_to_be_asked_for(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("small", "-o", tmp_path / "a.onnx") == 2
    told = capfd.readouterr().err
    assert "small is a network without weights here" in told
    assert "--untrained for random weights" in told
    assert not (tmp_path / "a.onnx").exists()
    assert run("small", "--untrained", "-o", tmp_path / "a.onnx") == 0
    assert format_class("onnx").read_facts(tmp_path / "a.onnx")["model"] == "small, untrained"
    assert run("small", "--untrained", "-o", tmp_path / "b.onnx") == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none",), "no model is called 'none'"),
        (("mine", "--size", "64"), "size '64'; expected width and height in px"),
        (("mine", "--size", "60x64"), "multiples of 16 for this network; try: --size 64x64"),
        (("mine", "--format", "official"), "a name ending in .pytorch or .pth"),
        (("none", "--untrained"), "no network is called 'none'"),
    ],
)
def test_refusals(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert run(*arguments, "-o", tmp_path / "a.onnx") == 2
    assert told in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models"]
