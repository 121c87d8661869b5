"""Files as TensorLayer writes them, made here: read exactly, and refused when they are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from allfocus.checkpoints import dmenet_npz
from allfocus.errors import WeightsError
from allfocus.nets.dmenet import DMENet


def arrays_of(net: DMENet, heads_last: bool) -> dict[str, NDArray]:
    """Named arrays in one of two orders of creation."""
    heads = [(f"aux{k}", head) for k, head in enumerate(net.auxiliary)]
    steps: list[tuple[str, nn.Module]] = [("encoder", net.encoder)]
    if heads_last:
        steps += [(f"u{3 - k}", block) for k, block in enumerate(net.decoder)] + heads
    else:
        steps.append(heads[0])
        for k, block in enumerate(net.decoder):
            steps += [(f"u{3 - k}", block), heads[k + 1]]
    steps += [("refine", net.refinement), ("out", net.head)]
    arrays: dict[str, NDArray] = {}
    for step, block in steps:
        for number, part in enumerate(block.modules()):
            scope = f"main/{step}/{number}"
            if isinstance(part, nn.Conv2d):
                arrays[f"{scope}/W_conv2d:0"] = part.weight.detach().permute(2, 3, 1, 0).numpy()
                arrays[f"{scope}/b_conv2d:0"] = part.bias.detach().numpy()  # type: ignore[union-attr]
            elif isinstance(part, nn.BatchNorm2d):
                arrays[f"{scope}/bn/beta:0"] = part.bias.detach().numpy()
                arrays[f"{scope}/bn/gamma:0"] = part.weight.detach().numpy()
                arrays[f"{scope}/bn/moving_mean:0"] = part.running_mean.numpy()  # type: ignore[union-attr]
                arrays[f"{scope}/bn/moving_variance:0"] = part.running_var.numpy()  # type: ignore[union-attr]
    return arrays


@pytest.fixture(scope="module")
def net() -> DMENet:
    """The whole network: the importer knows the layers by their sizes."""
    torch.manual_seed(0)
    made = DMENet().eval()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("heads_last", [False, True])
def test_a_file_gives_the_network_back(net: DMENet, tmp_path: Path, heads_last: bool) -> None:
    np.savez(tmp_path / "net.npz", **arrays_of(net, heads_last))  # type: ignore[arg-type]
    again = dmenet_npz.load(tmp_path / "net.npz")
    assert not again.training
    wanted = net.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in again.state_dict().items())


def test_damaged_files_are_refused_by_name(net: DMENet, tmp_path: Path) -> None:
    whole = arrays_of(net, heads_last=False)
    path = tmp_path / "net.npz"

    def refused(arrays: dict[str, NDArray], message: str) -> None:
        np.savez(path, **arrays)  # type: ignore[arg-type]
        with pytest.raises(WeightsError, match=message):
            dmenet_npz.load(path)

    name = next(key for key in whole if key.startswith("main/u2") and key.endswith("W_conv2d:0"))
    scope = name.removesuffix("/W_conv2d:0")
    without = [key for key in whole if not key.startswith(f"{scope}/")]
    broken = {key: whole[key] for key in without if not key.startswith(f"main/u2/{int(scope.rsplit('/')[-1]) + 1}/")}
    refused(broken, r"no kernel of \(3, 3, 512, 128\) left for decoder 1")
    refused(whole | {name: np.full_like(whole[name], np.nan)}, f"{scope}.*not finite")
    refused(whole | {"discriminator/W_conv2d:0": np.zeros((4, 4, 3, 64))}, "1 more layers, first discriminator")
    refused({key: value for key, value in whole.items() if key != f"{scope}/b_conv2d:0"}, "lacks .*bias")
    mean = next(key for key in whole if key.startswith("main/u2") and key.endswith("moving_mean:0"))
    refused({key: value for key, value in whole.items() if key != mean}, r"lacks \['moving_mean'\]")
    refused({"a:0": np.zeros(3)} | whole, "unexpected array")
    refused({"params": np.array([1, None], dtype=object)}, "damaged or no .npz")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(WeightsError, match=r"damaged or no \.npz"):
        dmenet_npz.load(path)
    path.write_text("not found", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"damaged or no \.npz"):
        dmenet_npz.load(path)
    with pytest.raises(WeightsError, match="there is no file"):
        dmenet_npz.load(tmp_path / "other.npz")
