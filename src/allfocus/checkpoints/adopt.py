"""A released checkpoint becomes a model of ours: weights, checked graph and card, where `--model` finds them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from allfocus.checkpoints.export import export_onnx
from allfocus.checkpoints.native import save
from allfocus.checkpoints.official import OfficialCheckpoint
from allfocus.errors import OutputError
from allfocus.weights.card import Card
from allfocus.weights.store import CARD_SUFFIX, GRAPH_SUFFIX, WEIGHTS_SUFFIX, Model


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
    """Write NAME.safetensors, NAME.onnx and NAME.json; the card last, so that a card means a whole model.

    The weights stay float32, so that `official.write` gives the released tensors back bit for bit.

    Args:
        found: what `official.read` gave; a reblurring network in it is left out, it serves training only.
        name: under which `allfocus` finds the model.
        folder: where the three files go; made if it is not there.
        origin: the released file's name, for the card.
        context_px: reach of the network.
        licence: of the weights (SPDX).
        overwrite: replace a model of that name in that folder.

    Raises:
        OutputError: the folder cannot be written, or has a model of that name.
        WeightsError: the graph differs from torch by more than 1e-4.
    """
    card, weights, graph = (folder / f"{name}{suffix}" for suffix in (CARD_SUFFIX, WEIGHTS_SUFFIX, GRAPH_SUFFIX))
    if card.exists() and not overwrite:
        raise OutputError(f"{card} is already there", "a name that is free", "--overwrite, or another --name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        card.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error})", "a writable folder", "-o FOLDER") from error
    net = found.build()
    digest = save(net, found.architecture, weights, dtype=torch.float32)
    exported = export_onnx(net, weights, graph)
    described = Card(
        name=name,
        architecture=asdict(found.architecture),
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        multiple=net.multiple,
        context_px=context_px,
        sha256=digest,
        licence=licence,
        views=found.architecture.views,
        inputs=exported.inputs,
        outputs=exported.outputs,
        known_failures=(f"not trained here: {found.describe()}",),
        command=f"allfocus import {origin}",
    )
    described.write(card)
    return Model(described, weights, graph)
