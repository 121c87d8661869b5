"""A network on CUDA recorded once as a graph: one launch instead of some hundreds. Untested on hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

WARM_UP_RUNS = 3  # before recording, so that libraries have chosen their kernels


class CUDAGraphNetwork:
    """A network for batches of one shape.

    Args:
        network: tensors in, tensors (or None) out; what it does must not depend on the values.
        batch: on the device; the shapes and types of all batches to come.

    Raises:
        RuntimeError: the network cannot be recorded.
    """

    def __init__(self, network: Callable[..., tuple[torch.Tensor | None, ...]], batch: Sequence[torch.Tensor]) -> None:
        self._inputs = [tensor.clone() for tensor in batch]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP_RUNS):
                network(*self._inputs)
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = network(*self._inputs)

    def run(self, batch: Sequence[torch.Tensor]) -> tuple[torch.Tensor | None, ...]:
        """The outputs, which the next run overwrites."""
        for kept, tensor in zip(self._inputs, batch, strict=True):
            kept.copy_(tensor)
        self._graph.replay()
        return self._outputs
