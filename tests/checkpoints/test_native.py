from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from allfocus.checkpoints.native import load, load_into, save
from allfocus.errors import OutputError, WeightsError
from allfocus.nets.registry import Architecture
from allfocus.weights.store import sha256

SMALL = Architecture(iterations=3, unshuffle=2, width=8, tied=True)


def test_float32_comes_back_bit_for_bit(tmp_path: Path) -> None:
    net = SMALL.build()
    digest = save(net, SMALL, tmp_path / "net.safetensors", dtype=torch.float32)
    again = load(tmp_path / "net.safetensors")
    assert digest == sha256(tmp_path / "net.safetensors")
    assert not again.training
    assert (again.tied, again.unshuffle, again.iterations) == (True, 2, 3)
    for name, tensor in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_the_same_weights_give_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    save(SMALL.build(), SMALL, tmp_path / "net.safetensors")
    with safetensors.safe_open(tmp_path / "net.safetensors", "pt") as file:
        assert len(file.metadata()) == 1  # more would be written in the order of a hash that changes
    assert (tmp_path / "net.safetensors").stat().st_mode & 0o044 == 0o044 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_float16_halves_the_file_and_rounds_once(tmp_path: Path) -> None:
    net = SMALL.build()
    save(net, SMALL, tmp_path / "half.safetensors")
    save(net, SMALL, tmp_path / "full.safetensors", dtype=torch.float32)
    half, full = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full"))
    assert half < 0.55 * full
    for name, tensor in load(tmp_path / "half.safetensors").state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, net.state_dict()[name].half().float())


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path: Path) -> None:
    save(SMALL.build(), SMALL, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match=r"tensors \d+ of another shape \(decoder"):
        load_into(Architecture(iterations=3, unshuffle=2, width=4).build(), tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match=r"\d+ unknown \(disparity_estimator.*the \d+ tensors of Plain"):
        load_into(Architecture(unshuffle=2, width=8, family="plain").build(), tmp_path / "net.safetensors")


def test_one_missing_tensor_is_enough(tmp_path: Path) -> None:
    net = SMALL.build()
    tensors = dict(net.state_dict())
    del tensors["decoder.out.0.bias"]
    safetensors.torch.save_file(tensors, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match=r"tensors 1 missing \(decoder\.out\.0\.bias\)"):
        load_into(net, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="has no entry 'allfocus-1', but none at all"):
        load(tmp_path / "net.safetensors")


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    save(SMALL.build(), SMALL, tmp_path / "net.safetensors")
    whole = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "net.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"net\.safetensors is damaged"):
        load(tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="there is no file"):
        load(tmp_path / "gone.safetensors")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    torch.save(SMALL.build().state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match="is damaged"):
        load(tmp_path / "net.safetensors")


@pytest.mark.parametrize("value", [1e6, float("nan")])
def test_values_outside_float16_are_not_written(tmp_path: Path, value: float) -> None:
    net = SMALL.build()
    with torch.no_grad():
        net.decoder.out[0].bias[1] = value
    with pytest.raises(WeightsError, match=r"not finite in float16, first decoder\.out\.0\.bias"):
        save(net, SMALL, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        save(SMALL.build(), SMALL, tmp_path / "no" / "net.safetensors")
