"""Counting multiply-accumulates the way the IFAN paper counted them, so that our tables can stand beside its."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

PAPER_HEIGHT, PAPER_WIDTH = 720, 1280
"""The size at which networks are compared, px."""


@dataclass(frozen=True)
class Macs:
    """Operations of one forward pass.

    Attributes:
        convolution: multiply-accumulates of all convolutions and transposed convolutions, without their biases.
        with_bias_and_activation: the same plus one operation per element that a bias is added to and per output
            element of an activation *module* (LeakyReLU, ReLU, sigmoid). Functional activations, sums and the adaptive
            convolution itself are not counted: that is the rule behind the figures of the paper (362.9 B for IFAN at
            1280x720).
        pooling: one operation per element that goes into a max-pooling module. The paper's figures of DPDNet have it.
        normalisation: two operations per element of a batch normalisation module, as in the paper's DMENet.
    """

    convolution: int
    with_bias_and_activation: int
    pooling: int = 0
    normalisation: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.with_bias_and_activation + self.pooling + self.normalisation


def count_macs(module: nn.Module, *inputs: torch.Tensor | None) -> Macs:
    """Run one forward pass and count.

    Args:
        module: any network; on the ``meta`` device nothing is computed and nothing is allocated.
        inputs: what ``module.forward`` takes, on the device of the module.

    Returns:
        Counts for the whole batch given.

    Example:
        >>> with torch.device("meta"):
        ...     macs = count_macs(nn.Conv2d(3, 8, 1), torch.empty(1, 3, 4, 4))
        >>> macs
        Macs(convolution=384, with_bias_and_activation=512, pooling=0, normalisation=0)
    """
    counter = _ConvolutionCounter()
    activated = pooled = normalised = 0

    def count_module(part: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal activated, pooled, normalised
        if isinstance(part, nn.LeakyReLU | nn.ReLU | nn.Sigmoid):
            activated += output.numel()
        elif isinstance(part, nn.MaxPool2d):
            pooled += inputs[0].numel()
        elif isinstance(part, nn.BatchNorm2d):
            normalised += 2 * output.numel()

    hooks = [part.register_forward_hook(count_module) for part in module.modules() if not any(part.children())]
    try:
        with torch.no_grad(), counter:
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return Macs(counter.macs, counter.macs + counter.biased + activated, pooled, normalised)


def macs_of_network(net: nn.Module, views: int) -> Macs:
    """Operations of a deblurring network on one photo of `PAPER_WIDTH` x `PAPER_HEIGHT`, padded to its multiple.

    The network moves to the meta device, which loses its weights.
    """
    net.to("meta")
    multiple: int = net.multiple  # type: ignore[assignment]
    height, width = (side + -side % multiple for side in (PAPER_HEIGHT, PAPER_WIDTH))
    photo = torch.empty(1, 3, height, width, device="meta")
    pair = torch.empty(1, 6, height, width, device="meta")
    return count_macs(net, *([photo, pair] if views > 1 else [photo]))


class _ConvolutionCounter(TorchDispatchMode):
    """Sees every convolution that reaches the dispatcher, also those outside of any module."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.biased = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            picture, weight, bias, transposed = args[0], args[1], args[2], args[6]
            # each weight meets every position of the side that the kernel slides over with stride 1
            walked = picture if transposed else output
            self.macs += weight.numel() * walked.shape[0] * math.prod(walked.shape[2:])
            self.biased += 0 if bias is None else output.numel()
        return output
