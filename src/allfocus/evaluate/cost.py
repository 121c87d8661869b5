"""What a network costs: parameters, and multiply-accumulates at 1280x720 by both counting rules of nets/macs.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

HEIGHT, WIDTH = 720, 1280


@dataclass(frozen=True)
class Cost:
    """Counts; None where they are unknown (no torch here, or an architecture that this version does not know).

    Attributes:
        parameters: how many numbers the network has.
        macs_convolution: of the convolutions alone.
        macs_poster: with biases and activation modules, the rule behind the poster's figures.
    """

    parameters: int | None = None
    macs_convolution: int | None = None
    macs_poster: int | None = None


def of_architecture(architecture: Mapping[str, object]) -> Cost:
    """The cost of a network described as in a card."""
    try:
        import torch

        from allfocus.nets.registry import Architecture

        with torch.device("meta"):
            network = Architecture(**architecture).build()  # type: ignore[arg-type]
    except (ImportError, TypeError):
        return Cost()
    return of_network(network, network.views)


def of_baseline(kind: str, weights: Path, views: int) -> Cost:
    """The cost of a learnt baseline ("dmenet" or "dpdnet") from its weights file."""
    from allfocus.checkpoints.baseline import load_dmenet, load_dpdnet

    network = load_dmenet(weights) if kind == "dmenet" else load_dpdnet(weights, views)
    return of_network(network.to("meta"), views)


def of_network(network: nn.Module, views: int) -> Cost:
    """The cost of a network on the meta device."""
    import torch

    from allfocus.nets.macs import count_macs

    photo = torch.empty(1, 3, HEIGHT, WIDTH, device="meta")
    pair = torch.empty(1, 6, HEIGHT, WIDTH, device="meta") if views > 1 else None
    macs = count_macs(network, *([photo] if pair is None else [photo, pair]))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, macs.convolution, macs.with_bias_and_activation)
