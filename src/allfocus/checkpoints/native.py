"""A network's weights to a safetensors file and back, strictly: every tensor, by name and shape, and no pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from allfocus.atomic_file import write_bytes
from allfocus.errors import WeightsError, needs
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture
from allfocus.weights.store import sha256

FORMAT = "allfocus-1"


def save(module: nn.Module, architecture: Architecture, path: Path, *, dtype: torch.dtype = torch.float16) -> str:
    """Write every tensor of a network.

    Args:
        module: the network.
        architecture: what builds it; stored in the file, so that `load` needs nothing else.
        path: NAME.safetensors.
        dtype: float16 (half the size; the engines compute in float32 or bfloat16 from it) or float32.

    Returns:
        sha256 of the file.

    Raises:
        WeightsError: a tensor that is not finite in this dtype.
        OutputError: the file cannot be written.
    """
    tensors = {name: tensor.to(dtype) for name, tensor in module.state_dict().items()}
    write_tensors(tensors, FORMAT, asdict(architecture), path)
    return sha256(path)


def write_tensors(tensors: Mapping[str, torch.Tensor], key: str, about: Mapping[str, Any], path: Path) -> None:
    """Write tensors in the dtypes that they have, and `about` as JSON under `key`; errors as `save`."""
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        dtype = str(tensors[broken[0]].dtype).removeprefix("torch.")
        raise WeightsError(
            f"{len(broken)} tensors with values that are not finite in {dtype}, first {broken[0]}",
            "finite weights",
            "float32, or check the training run",
        )
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {key: json.dumps(about)}  # one entry: several come in any order, with another sha256
    write_bytes(path, _safetensors().torch.save(plain, metadata))


def load(path: Path) -> IFAN:
    """The network of a file that `save` wrote: float32, in evaluation mode, on the CPU.

    Raises:
        WeightsError: missing, damaged, or not written by `save`.
    """
    net = architecture_of(path).build()
    load_into(net, path)
    return net.eval()


def architecture_of(path: Path) -> Architecture:
    """What builds the network of a file that `save` wrote; errors as `load`."""
    metadata = metadata_of(path)
    if FORMAT not in metadata:
        raise WeightsError(
            f"{path} has no entry {FORMAT!r}, but {', '.join(sorted(metadata)) or 'none at all'}",
            "a safetensors file with the architecture stored in it",
            "a file that this allfocus wrote, or load_into with a network that you built",
        )
    return Architecture(**json.loads(metadata[FORMAT]))


def load_into(module: nn.Module, path: Path) -> None:
    """Fill a network that is already built, as float32.

    Raises:
        WeightsError: unless names and shapes are exactly the network's; says what differs.
    """
    with _opened(path) as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in stored.items()}
    if wanted != found:
        missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
        reshaped = sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name])
        differences = [
            f"{len(names)} {kind} ({names[0]})"
            for kind, names in (("missing", missing), ("unknown", extra), ("of another shape", reshaped))
            if names
        ]
        raise WeightsError(
            f"{path} does not fit the network: tensors {', '.join(differences)}",
            f"the {len(wanted)} tensors of {type(module).__name__}",
            "the architecture that the weights were trained with",
        )
    module.load_state_dict({name: tensor.float() for name, tensor in stored.items()}, strict=True)


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; WeightsError if it is missing or damaged."""
    with _opened(path) as file:
        return file.metadata() or {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    safetensors = _safetensors()
    if not path.is_file():
        raise WeightsError(f"there is no file {path}", "a safetensors file", "check the path")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            yield file
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path} is damaged ({error})", "a whole safetensors file", "copy it again") from error


def _safetensors() -> Any:
    with needs("reading and writing weights in torch", "torch", "safetensors"):
        import safetensors
        import safetensors.torch
    return safetensors
