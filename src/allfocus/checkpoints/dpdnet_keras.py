"""Reading the published DPDNet: a Keras model in one HDF5 file, without Keras.

Source of the layout: the HDF5 format of Keras 2 (`model.save`), and the layers of Abuolaim and Brown, ECCV 2020.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.errors import WeightsError, needs
from allfocus.nets.dpdnet import DPDNet, sizes

_CONVOLUTION = re.compile(r"^conv2d(?:_(\d+))?$")
_EXPECTED = "the Keras HDF5 file of DPDNet with its 24 convolutions"
_HINT = "download the file again, or give the file of the whole model"


def load(path: Path) -> DPDNet:
    """The network of a file, single or dual as the file says, in evaluation mode, float32.

    Args:
        path: .hdf5 or .h5 of the whole model; layers conv2d_1 ... conv2d_24, whatever number they start from.

    Raises:
        WeightsError: the file is missing, damaged, lacks a layer, has one too many or of another shape, or holds
            numbers that are not finite.
        MissingExtraError: h5py is not installed.
    """
    layers = _read(path)
    if not layers:
        raise WeightsError(f"{path.name} holds no convolution", _EXPECTED, _HINT)
    first = layers[0][1]
    views, width = first.shape[2] // 3, first.shape[3]
    if views not in (1, 2) or first.shape[2] % 3:
        raise WeightsError(f"{path.name} starts from {first.shape[2]} channels", "3 or 6 channels", _HINT)
    with torch.device("meta"):  # nothing to initialise: every number comes from the file
        net = DPDNet(sizes("public", views, width))
    convolutions = net.convolutions
    if len(layers) != len(convolutions):
        raise WeightsError(f"{path.name} holds {len(layers)} convolutions", _EXPECTED, _HINT)
    net = net.to_empty(device="cpu")
    for convolution, (name, kernel, bias) in zip(net.convolutions, layers, strict=True):
        weight = kernel.transpose(3, 2, 0, 1)  # (rows, columns, in, out) to (out, in, rows, columns)
        assert convolution.bias is not None
        if weight.shape != tuple(convolution.weight.shape) or bias.shape != tuple(convolution.bias.shape):
            wanted = tuple(convolution.weight.permute(2, 3, 1, 0).shape)
            raise WeightsError(f"{path.name}: {name} has a kernel of {kernel.shape}", f"a kernel of {wanted}", _HINT)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise WeightsError(f"{path.name}: {name} holds numbers that are not finite", "finite weights", _HINT)
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            convolution.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
    return net.eval()


def _read(path: Path) -> list[tuple[str, NDArray, NDArray]]:
    """(name, kernel, bias) of each convolution, in the order of creation."""
    with needs("reading DPDNet's published weights", "eval", "h5py"):
        import h5py
    if not path.is_file():
        raise WeightsError(f"there is no file {path}", _EXPECTED, "check the path")
    found = []
    try:
        with h5py.File(path, "r") as file:
            root: Any = file.get("model_weights", file)
            for name in root:
                numbered = _CONVOLUTION.match(name)
                if numbered:
                    kernel, bias = _layer(path, name, root[name], h5py)
                    found.append((int(numbered[1] or 0), name, kernel, bias))
    except (OSError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{path.name} is damaged or not HDF5 ({error})", _EXPECTED, _HINT) from error
    return [(name, kernel, bias) for _, name, kernel, bias in sorted(found, key=lambda layer: layer[0])]


def _layer(path: Path, name: str, group: Any, h5py: Any) -> tuple[NDArray, NDArray]:
    """Kernel and bias of one layer, float32, wherever they lie in its group."""
    arrays: dict[str, NDArray] = {}

    def visit(inner: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            arrays[inner.rsplit("/", 1)[-1].split(":")[0]] = np.asarray(member[()], dtype=np.float32)

    group.visititems(visit)
    if set(arrays) != {"kernel", "bias"} or arrays["kernel"].ndim != 4:
        raise WeightsError(f"{path.name}: {name} holds {sorted(arrays)}", "a 4-D kernel and a bias", _HINT)
    return arrays["kernel"], arrays["bias"]
