"""Reading DMENet's weights: a TensorLayer .npz of named arrays.

The container and the layout of the kernels are those of TensorLayer 1; the names of the layers are not documented. So
layers are known by their order in the file, which is the order of creation, and by their shapes: among kernels of the
same shape the n-th in the file is the n-th of the network. Steps of the decoder come before the refinement and that
before the head; the auxiliary heads may come between the steps or after them all, as a layer in front of one with a
single output is known for what it is. The last part of a name tells kernel, bias and the four arrays of a batch
normalisation apart.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from allfocus.errors import WeightsError
from allfocus.nets.dmenet import DMENet

_EXPECTED = "the TensorLayer .npz of DMENet, with all its convolutions and batch normalisations"
_HINT = "download the file again, or give the generator's file"
_NORMALISATION = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@dataclass
class _StoredLayer:
    """A convolution of the file and what follows it."""

    name: str
    kernel: NDArray
    bias: NDArray | None = None
    normalisation: dict[str, NDArray] = field(default_factory=dict)


def load(path: Path) -> DMENet:
    """The network of an .npz with kernels (rows, columns, in, out), in evaluation mode, float32.

    WeightsError: the file is missing or damaged, needs pickle, lacks a layer or has another too many, or holds numbers
    that are not finite.
    """
    layers = _read(path)
    waiting: dict[tuple[int, ...], list[_StoredLayer]] = defaultdict(list)
    for layer, key in zip(layers, _keys([layer.kernel.shape for layer in layers]), strict=True):
        waiting[key].append(layer)
    net = DMENet().eval()
    units = _units(net)
    keys = _keys([tuple(convolution.weight.permute(2, 3, 1, 0).shape) for _, convolution, _ in units])
    for (name, convolution, normalisation), key in zip(units, keys, strict=True):
        if not waiting[key]:
            raise WeightsError(f"{path.name} has no kernel of {key[:4]} left for {name}", _EXPECTED, _HINT)
        _fill(path, waiting[key].pop(0), convolution, normalisation)
    extra = [layer.name for rest in waiting.values() for layer in rest]
    if extra:
        raise WeightsError(f"{path.name} holds {len(extra)} more layers, first {extra[0]}", _EXPECTED, _HINT)
    return net


def _keys(shapes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """(rows, columns, in, out, 1 when a layer with one output follows and 0 otherwise) of each layer, in order."""
    following = [*shapes[1:], (0, 0, 0, 0)]
    return [(*shape, int(after[2:] == (shape[3], 1))) for shape, after in zip(shapes, following, strict=True)]


def _units(net: DMENet) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d | None]]:
    """Convolutions with the normalisation behind each, in the order of creation."""
    ordered: list[tuple[str, nn.Module]] = [("encoder", net.encoder), ("auxiliary 0", net.auxiliary[0])]
    for k, block in enumerate(net.decoder):
        ordered += [(f"decoder {k}", block), (f"auxiliary {k + 1}", net.auxiliary[k + 1])]
    ordered += [("refinement", net.refinement), ("head", net.head)]
    units: list[tuple[str, nn.Conv2d, nn.BatchNorm2d | None]] = []
    for name, block in ordered:
        for part in block.modules():
            if isinstance(part, nn.Conv2d):
                units.append((name, part, None))
            elif isinstance(part, nn.BatchNorm2d):
                units[-1] = (units[-1][0], units[-1][1], part)
    return units


def _fill(path: Path, layer: _StoredLayer, convolution: nn.Conv2d, normalisation: nn.BatchNorm2d | None) -> None:
    has = set(layer.normalisation)
    needs = set(_NORMALISATION) if normalisation is not None else set()
    if has != needs or layer.bias is None:
        lacks = sorted(needs - has) + ([] if layer.bias is not None else ["bias"])
        raise WeightsError(
            f"{path.name}: {layer.name} lacks {lacks}, has extra {sorted(has - needs)}", _EXPECTED, _HINT
        )
    assert convolution.bias is not None
    _copy(path, layer.name, convolution.weight, layer.kernel.transpose(3, 2, 0, 1))
    _copy(path, layer.name, convolution.bias, layer.bias)
    if normalisation is not None:
        for stored, ours in _NORMALISATION.items():
            _copy(path, layer.name, getattr(normalisation, ours), layer.normalisation[stored])


def _copy(path: Path, name: str, target: torch.Tensor, values: NDArray) -> None:
    if values.shape != tuple(target.shape) or not np.isfinite(values).all():
        raise WeightsError(
            f"{path.name}: {name} has {values.shape} numbers, or some that are not finite",
            f"{tuple(target.shape)} finite numbers",
            _HINT,
        )
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))


def _read(path: Path) -> list[_StoredLayer]:
    """Layers in the order of the file."""
    if not path.is_file():
        raise WeightsError(f"there is no file {path}", _EXPECTED, "check the path")
    layers: list[_StoredLayer] = []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                _sort_in(path, layers, name, arrays[name])
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise WeightsError(f"{path.name} is damaged or no .npz of arrays ({error})", _EXPECTED, _HINT) from error
    return layers


def _sort_in(path: Path, layers: list[_StoredLayer], name: str, values: NDArray) -> None:
    last = name.rsplit("/", 1)[-1].split(":")[0]
    if values.ndim == 4:
        layers.append(_StoredLayer(name, values))
        return
    if not layers or values.ndim != 1:
        raise WeightsError(f"{path.name}: {name} is an unexpected array of {values.shape}", _EXPECTED, _HINT)
    kind = next((kind for kind in _NORMALISATION if last.endswith(kind)), None)
    if kind is not None:
        layers[-1].normalisation[kind] = values
    elif layers[-1].bias is None:
        layers[-1].bias = values
    else:
        raise WeightsError(f"{path.name}: {name} is a second bias of {layers[-1].name}", _EXPECTED, _HINT)
