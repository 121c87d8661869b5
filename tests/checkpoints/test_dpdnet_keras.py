"""Files in Keras's layout, written here: read exactly, and refused when they are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from allfocus.checkpoints import dpdnet_keras
from allfocus.errors import WeightsError
from allfocus.nets.dpdnet import DPDNet, sizes

h5py = pytest.importorskip("h5py")


def write(net: DPDNet, path: Path, first: int = 1, root: str = "model_weights/", suffix: str = ":0") -> None:
    with h5py.File(path, "w") as file:
        for name in ("input_1", "max_pooling2d_1", "dropout_1"):
            file.create_group(f"{root}{name}")
        for number, part in enumerate(net.convolutions, start=first):
            name = f"conv2d_{number}" if number else "conv2d"
            group = file.create_group(f"{root}{name}/{name}")
            group[f"kernel{suffix}"] = part.weight.detach().permute(2, 3, 1, 0).numpy()
            group[f"bias{suffix}"] = part.bias.detach().numpy()  # type: ignore[union-attr]


def network(views: int) -> DPDNet:
    torch.manual_seed(views)
    net = DPDNet(sizes("public", views, width=4)).eval()
    for part in net.convolutions:
        torch.nn.init.uniform_(part.bias)  # type: ignore[arg-type]
    return net


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize(("first", "root", "suffix"), [(1, "model_weights/", ":0"), (0, "", ""), (25, "", ":0")])
def test_a_file_gives_the_network_back(tmp_path: Path, views: int, first: int, root: str, suffix: str) -> None:
    net = network(views)
    write(net, tmp_path / "net.hdf5", first, root, suffix)
    again = dpdnet_keras.load(tmp_path / "net.hdf5")
    assert again.sizes == net.sizes
    assert not again.training
    pair = torch.rand(1, 6, 32, 32)
    assert torch.equal(again(pair[:, :3], pair), net(pair[:, :3], pair))


def test_a_file_of_the_published_width_has_the_published_size(tmp_path: Path) -> None:
    net = DPDNet(sizes("public", 2, width=16))
    write(net, tmp_path / "net.hdf5")
    loaded = dpdnet_keras.load(tmp_path / "net.hdf5")
    assert sum(p.numel() for p in loaded.parameters()) == sum(p.numel() for p in net.parameters())


def damage(path: Path, how: str) -> None:
    if how == "cut":
        path.write_bytes(path.read_bytes()[:3000])
        return
    if how == "text":
        path.write_text("not found", encoding="utf-8")
        return
    with h5py.File(path, "r+") as file:
        layers = file["model_weights"]
        if how == "missing":
            del layers["conv2d_7"]
        elif how == "extra":
            layers.copy("conv2d_7", "conv2d_25")
        elif how == "bias":
            del layers["conv2d_7/conv2d_7/bias:0"]
        elif how == "shape":
            kernel = layers["conv2d_7/conv2d_7/kernel:0"][()]
            del layers["conv2d_7/conv2d_7/kernel:0"]
            layers["conv2d_7/conv2d_7/kernel:0"] = kernel[:, :, :-1]
        elif how == "nan":
            layers["conv2d_7/conv2d_7/kernel:0"][0, 0, 0, 0] = float("nan")
        elif how == "empty":
            for name in list(layers):
                del layers[name]
        elif how == "channels":
            kernel = layers["conv2d_1/conv2d_1/kernel:0"][()]
            del layers["conv2d_1/conv2d_1/kernel:0"]
            layers["conv2d_1/conv2d_1/kernel:0"] = kernel[:, :, :2]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "damaged or not HDF5"),
        ("text", "damaged or not HDF5"),
        ("missing", "holds 23 convolutions"),
        ("extra", "holds 25 convolutions"),
        ("bias", r"conv2d_7 holds \['kernel'\]"),
        ("shape", r"conv2d_7 has a kernel of \(3, 3, 15, 32\); expected a kernel of \(3, 3, 16, 32\)"),
        ("nan", "conv2d_7 holds numbers that are not finite"),
        ("empty", "holds no convolution"),
        ("channels", "starts from 2 channels; expected 3 or 6"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, how: str, message: str) -> None:
    path = tmp_path / "net.hdf5"
    write(network(1), path)
    damage(path, how)
    with pytest.raises(WeightsError, match=message) as refusal:
        dpdnet_keras.load(path)
    assert str(tmp_path) not in str(refusal.value) or how in ("cut", "text")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        dpdnet_keras.load(tmp_path / "net.hdf5")
