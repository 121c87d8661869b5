"""Our own files of the learnt baselines, and where they are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from allfocus.baselines.registry import METHODS
from allfocus.checkpoints.baseline import find, load_dmenet, load_dpdnet, save
from allfocus.errors import WeightsError
from allfocus.nets.dmenet import DMENet
from allfocus.nets.dpdnet import DPDNet, sizes

pytest.importorskip("safetensors")


@pytest.mark.parametrize(("name", "views"), [("public", 1), ("large", 2)])
def test_dpdnet_comes_back(tmp_path: Path, name: str, views: int) -> None:
    net = DPDNet(sizes(name, views, width=3)).eval()
    save(net, tmp_path / "net.safetensors", dtype=torch.float32)
    again = load_dpdnet(tmp_path / "net.safetensors", views)
    assert again.sizes == net.sizes
    pair = torch.rand(1, 6, 16, 16)
    assert torch.equal(again(pair[:, :3], pair), net(pair[:, :3], pair))
    with pytest.raises(WeightsError, match=f"takes {views} view"):
        load_dpdnet(tmp_path / "net.safetensors", 3 - views)


def test_dmenet_comes_back(tmp_path: Path) -> None:
    net = DMENet(scale=0.03).eval()
    save(net, tmp_path / "net.safetensors", dtype=torch.float32)
    photo = torch.rand(1, 3, 16, 16)
    assert torch.equal(load_dmenet(tmp_path / "net.safetensors")(photo).defocus, net(photo).defocus)
    with pytest.raises(WeightsError, match="not the file of a dpdnet"):
        load_dpdnet(tmp_path / "net.safetensors", 1)


def test_statistics_of_layers_are_kept_in_full(tmp_path: Path) -> None:
    net = DMENet(scale=0.03).eval()
    torch.nn.init.constant_(net.decoder[0][0][1].running_mean, 1e6)  # beyond float16, as VGG's range of values makes it
    save(net, tmp_path / "net.safetensors")
    kept = load_dmenet(tmp_path / "net.safetensors").state_dict()
    assert kept["decoder.0.0.1.running_mean"].max() == 1e6


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"12345678 nothing")
    with pytest.raises(WeightsError, match="damaged"):
        load_dmenet(tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="there is no file"):
        load_dmenet(tmp_path / "other.safetensors")
    broken = DPDNet(sizes("public", 1, width=2))
    torch.nn.init.constant_(broken.convolutions[0].weight, float("inf"))
    with pytest.raises(WeightsError, match="not finite"):
        save(broken, tmp_path / "broken.safetensors")
    assert not list(tmp_path.glob("*broken*"))


def test_weights_are_looked_for_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path))
    published = METHODS["dpdnet-d"].published
    assert published is not None
    with pytest.raises(WeightsError, match=r"there are no weights for dpdnet-d; expected .* or dpdnet-d\.hdf5 or"):
        find("dpdnet-d", published)
    (tmp_path / "dpdnet-d.h5").touch()
    assert find("dpdnet-d", published) == tmp_path / "dpdnet-d.h5"
