"""A released checkpoint becomes a model of ours: weights, checked graph and card, where `--model` finds them."""

from __future__ import annotations

from pathlib import Path

import torch

from allfocus.checkpoints.official import OfficialCheckpoint
from allfocus.checkpoints.release import release
from allfocus.errors import OutputError
from allfocus.weights.store import CARD_SUFFIX, Model


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
    card = folder / f"{name}{CARD_SUFFIX}"
    if card.exists() and not overwrite:
        raise OutputError(f"{card} is already there", "a name that is free", "--overwrite, or another --name")
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
