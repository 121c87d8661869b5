from __future__ import annotations

from pathlib import Path

import pytest
import torch

from allfocus.errors import WeightsError
from allfocus.metrics.lpips import LAYERS, LPIPS
from allfocus.metrics.lpips_fetch import Download, fetch


@pytest.fixture
def published(tmp_path: Path) -> tuple[Download, Download]:
    """What the authors publish, drawn at random, as file:// addresses."""
    generator = torch.Generator().manual_seed(1)
    network, heads = {"classifier.1.weight": torch.zeros(2, 2)}, {}
    for place, (index, shape, *_) in enumerate(LAYERS):
        network[f"features.{index}.weight"] = torch.randn(shape, generator=generator)
        network[f"features.{index}.bias"] = torch.zeros(shape[0])
        heads[f"lin{place}.model.1.weight"] = torch.rand(1, shape[0], 1, 1, generator=generator)
    torch.save(network, tmp_path / "alexnet.pth")
    torch.save(heads, tmp_path / "alex.pth")
    return Download((tmp_path / "alexnet.pth").as_uri(), ""), Download((tmp_path / "alex.pth").as_uri(), "")


def test_brings_both_files_once(tmp_path: Path, published: tuple[Download, Download]) -> None:
    place = fetch(tmp_path / "cache", *published)
    assert LPIPS(place).version.startswith("v0.1-alex+")
    assert sorted(path.name for path in place.iterdir()) == ["alex_lin_v0.1.pth", "alexnet_features_fp16.safetensors"]
    nowhere = Download("file:///nowhere", "")
    assert fetch(tmp_path / "cache", nowhere, nowhere) == place


def test_no_network_says_what_to_do(tmp_path: Path, published: tuple[Download, Download]) -> None:
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch(tmp_path / "cache", Download("file:///nowhere/alexnet.pth", ""), published[1])
    assert not list((tmp_path / "cache").iterdir())


def test_another_file_is_refused(tmp_path: Path, published: tuple[Download, Download]) -> None:
    with pytest.raises(WeightsError, match="has changed"):
        fetch(tmp_path / "cache", Download(published[0].url, "0123abcd"), published[1])
    assert not list((tmp_path / "cache").iterdir())
