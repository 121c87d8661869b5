"""Weights of the learnt baselines: found by name, read in our format and the published ones, written in ours."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from allfocus.checkpoints import dmenet_npz, dpdnet_keras
from allfocus.checkpoints.native import load_into, metadata_of, write_tensors
from allfocus.errors import WeightsError
from allfocus.folders import models_folder
from allfocus.nets.dmenet import DMENet
from allfocus.nets.dpdnet import DPDNet, DPDNetSizes
from allfocus.weights.card import Card
from allfocus.weights.store import CARD_SUFFIX, SHIPPED, sha256

NATIVE, KERAS, TENSORLAYER = (".safetensors",), (".hdf5", ".h5"), (".npz",)
_KEY = "baseline"


def find(name: str, published: tuple[str, ...] = ()) -> Path:
    """The weights file of a baseline in the user's model folder or in the package (its folder weights/baselines).

    Endings of others' published weights come after our own. WeightsError: there is none, or its card names another.
    """
    suffixes = NATIVE + published
    for folder in (models_folder(), SHIPPED / "baselines"):
        for suffix in suffixes:
            path = folder / f"{name}{suffix}"
            if path.is_file():
                _verify(path)
                return path
    raise WeightsError(
        f"there are no weights for {name}",
        " or ".join(f"{name}{suffix}" for suffix in suffixes),
        f"name the file, or put it into {models_folder()}; it does not come with allfocus",
    )


def _verify(path: Path) -> None:
    """Compare a file with the card beside it, where there is one."""
    card = path.with_suffix(CARD_SUFFIX)
    if card.is_file() and Card.read(card).sha256 != sha256(path):
        raise WeightsError(f"{path} is damaged or another file", f"the sha256 in {card.name}", "copy both files again")


def save(net: DPDNet | DMENet, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write a network as safetensors that `load` reads, sizes and all.

    Raises:
        WeightsError: a tensor that is not finite in this dtype.
        OutputError: the file cannot be written.
    """
    learnt = {name for name, _ in net.named_parameters()}  # statistics are few, and may be too large for float16
    tensors = {name: tensor.to(dtype) if name in learnt else tensor for name, tensor in net.state_dict().items()}
    write_tensors(tensors, _KEY, described(net), path)


def described(net: DPDNet | DMENet) -> dict[str, dict[str, Any]]:
    """What builds a network: its kind and its sizes."""
    return {"dpdnet": asdict(net.sizes)} if isinstance(net, DPDNet) else {"dmenet": {"scale": net.scale}}


def load_dpdnet(path: Path, views: int) -> DPDNet:
    """A DPDNet from a Keras HDF5 file or from `save`, in evaluation mode.

    Raises:
        WeightsError: the file cannot be read, or its network takes another number of views.
    """
    if path.suffix in KERAS:
        net = dpdnet_keras.load(path)
    else:
        sizes = _described(path, "dpdnet")
        sizes["extra"] = tuple(sizes.get("extra", ()))
        net = DPDNet(DPDNetSizes(**sizes)).eval()
        load_into(net, path)
    if net.sizes.views != views:
        raise WeightsError(f"{path.name} takes {net.sizes.views} view(s)", f"{views}", "the file of the other DPDNet")
    return net


def load_dmenet(path: Path) -> DMENet:
    """A DMENet from a TensorLayer .npz or from `save`, in evaluation mode. WeightsError: the file cannot be read."""
    if path.suffix in TENSORLAYER:
        return dmenet_npz.load(path)
    net = DMENet(**_described(path, "dmenet")).eval()
    load_into(net, path)
    return net


def _described(path: Path, kind: str) -> dict:
    """The sizes that `save` wrote for a network of this kind."""
    expected = f"the safetensors file of a {kind} that allfocus wrote, or a file as published"
    try:
        described = json.loads(metadata_of(path).get(_KEY, "{}"))
    except ValueError as error:
        raise WeightsError(f"{path.name} is damaged ({error})", expected, "copy it again") from error
    if not isinstance(described, dict) or kind not in described:
        raise WeightsError(f"{path.name} is not the file of a {kind}", expected, "check the path")
    return dict(described[kind])
