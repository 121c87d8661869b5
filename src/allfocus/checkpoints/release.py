"""A network becomes a model, one of ours or a released checkpoint: weights, checked graph and card side by side."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path

import torch

from allfocus.atomic_file import make_folder
from allfocus.checkpoints.graph import write_graph
from allfocus.checkpoints.native import save
from allfocus.checkpoints.official import OfficialCheckpoint
from allfocus.errors import OutputError
from allfocus.nets.ifan import IFAN
from allfocus.nets.macs import macs_of_network
from allfocus.nets.registry import Architecture
from allfocus.weights.card import Card
from allfocus.weights.store import CARD_SUFFIX, GRAPH_SUFFIX, WEIGHTS_SUFFIX, Model


def release(
    net: IFAN,
    architecture: Architecture,
    name: str,
    folder: Path,
    *,
    context_px: int,
    licence: str = "Apache-2.0",
    dtype: torch.dtype = torch.float16,
    known_failures: tuple[str, ...] = (),
    command: str = "",
) -> Model:
    """Write NAME.safetensors, NAME.onnx and NAME.json; the card last, so that a card means a whole model.

    The card holds what is known from the network itself; add what it was trained on and what it scored with
    `dataclasses.replace(model.card, ...).write(...)`.

    Args:
        net: the trained network.
        architecture: what builds it.
        name: under which `allfocus` finds it.
        folder: where the three files go; made if it is not there.
        context_px: measured reach of the network.
        licence: of the weights (SPDX).
        dtype: of the stored weights.
        known_failures: one sentence each, for the card.
        command: what reproduces the weights, for the card.

    Raises:
        WeightsError: weights that are not finite, or a graph that differs from torch by more than 1e-4.
        OutputError: the folder cannot be written.
    """
    card, weights, graph = (folder / f"{name}{suffix}" for suffix in (CARD_SUFFIX, WEIGHTS_SUFFIX, GRAPH_SUFFIX))
    make_folder(folder)
    try:
        card.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{card} cannot be removed ({error})", "a writable folder", "-o FOLDER") from error
    digest = save(net, architecture, weights, dtype=dtype)
    written = write_graph(net, weights, graph)
    described = Card(
        name=name,
        architecture=asdict(architecture),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        macs=macs_of_network(copy.deepcopy(net), architecture.views).total,
        multiple=net.multiple,
        context_px=context_px,
        sha256=digest,
        licence=licence,
        views=architecture.views,
        inputs=written.inputs,
        outputs=written.outputs,
        known_failures=known_failures,
        command=command,
    )
    described.write(card)
    return Model(described, weights, graph)


def default_name(file: Path) -> str:
    """Name of the model of a released file; never that of one of our own networks.

    Example:
        >>> default_name(Path("IFAN_dual.pytorch"))
        'ifan-dual-released'
    """
    return f"{file.stem.lower().replace('_', '-')}-released"


def adopt(
    found: OfficialCheckpoint,
    name: str,
    folder: Path,
    *,
    origin: str,
    context_px: int,
    licence: str,
    overwrite: bool = False,
) -> Model:
    """`release` a checkpoint that `official.read` gave, in float32, so that `official.write` can restore every bit.

    Its reblurring network, which serves training only, is left out.

    Args:
        found: the checkpoint.
        origin: the released file's name, for the card.
        overwrite: replace a model of that name; without it, one that exists is an OutputError.
        name, folder, context_px, licence: as in `release`.
    """
    card = folder / f"{name}{CARD_SUFFIX}"
    if card.exists() and not overwrite:
        raise OutputError(f"{card} already exists", "a name that is free", "--overwrite, or another --name")
    return release(
        found.build(),
        found.architecture,
        name,
        folder,
        context_px=context_px,
        licence=licence,
        dtype=torch.float32,
        known_failures=(f"not trained here: {found.describe()}",),
        command=f"allfocus import {origin}",
    )
