"""How large a network is and how much it computes, which needs no photos."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from allfocus.baselines.registry import METHODS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Cost:
    """Counts for one network; None where they are unknown (no torch, or an architecture that this version lacks).

    Attributes:
        parameters: how many numbers the network has.
        macs_convolution: multiply-accumulates of the convolutions alone, at 1280x720.
        macs: the same by the rule behind the figures of the IFAN paper, `nets.macs.Macs.total`.
    """

    parameters: int | None = None
    macs_convolution: int | None = None
    macs: int | None = None


def cost_of_network(network: nn.Module, views: int) -> Cost:
    """Count a network; it is left as it is."""
    from allfocus.nets.macs import macs_of_network

    macs = macs_of_network(copy.deepcopy(network), views)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, macs.convolution, macs.total)


def cost_of_architecture(architecture: Mapping[str, object]) -> Cost:
    """Count a network that is described as in a card; unknown without torch, or of an unknown architecture."""
    try:
        import torch

        from allfocus.nets.registry import Architecture

        with torch.device("meta"):
            network = Architecture(**architecture).build()  # type: ignore[arg-type]
    except (ImportError, TypeError):
        return Cost()
    return cost_of_network(network, network.views)


@cache
def cost_as_published(method: str) -> Cost:
    """Count the network of a method as its paper describes it; `Cost()` for one without a network, or without torch."""
    try:
        from allfocus.nets.registry import named
    except ImportError:
        return Cost()
    if method in named():
        return cost_of_architecture(asdict(named()[method].architecture))
    entry = METHODS.get(method)
    if entry is None or not entry.published:
        return Cost()
    module, _, kind = entry.place.partition(":")
    network = getattr(import_module(module), kind).published_network(entry.views)
    return cost_of_network(network, entry.views)
