"""Muon for convolutions (Jordan et al., 2024), AdamW for everything else.

Muon takes the running mean of a matrix's gradient and makes all of its singular values alike before it steps, so that
directions that are rare in the gradient are learnt as fast as the strong ones. A convolution is seen as the matrix that
multiplies its patches. The step has the size of AdamW's (Liu et al., 2025), so both share one learning rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
FEWEST_CHANNELS = 16
"""On either side; layers that meet the picture or a single map have fewer."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial that takes singular values from (0, 1] near 1 in a few rounds."""
ROUNDS = 5
SIZE_OF_ADAMW = 0.2
"""Root mean square of AdamW's steps, over the learning rate."""


class Muon(torch.optim.AdamW):
    """AdamW whose convolutions between many channels step by orthogonalised momentum; see `is_matrix`."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step the matrices here and leave the rest to AdamW, which passes over weights without a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and is_matrix(weight):
                    self._step_matrix(weight, weight.grad, group["lr"], group["weight_decay"])
                    weight.grad = None
        super().step()
        return loss

    def _step_matrix(self, weight: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        state = self.state[weight]
        if not state:  # the count is there because AdamW expects it in every state that it loads
            state["step"] = torch.zeros(())
            state["momentum"] = torch.zeros_like(weight)
        state["step"] += 1
        state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(state["momentum"], MOMENTUM).permute(0, 2, 3, 1)  # Nesterov's, as channels last lies
        step = orthogonalised(ahead.flatten(1))
        size = SIZE_OF_ADAMW * max(step.shape) ** 0.5
        weight.mul_(1 - rate * decay)
        weight.add_(step.view_as(ahead).permute(0, 3, 1, 2), alpha=-rate * size)


def is_matrix(weight: Tensor) -> bool:
    """Whether these are weights of a convolution of more than one px between many channels.

    Of a transposed one, which is the adjoint of the convolution with the same weights, the matrix is the adjoint's.
    """
    return weight.ndim == 4 and weight[0, 0].numel() > 1 and min(weight.shape[:2]) >= FEWEST_CHANNELS


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix with its singular values brought near 1 by Newton-Schulz rounds, (M, N), in float32.

    X <- (a + b X X^T + c (X X^T)^2) X, worked out on the smaller Gram matrix alone: all rounds are polynomials of the
    first X X^T, so their product is applied once.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalised(matrix.t()).t()
    matrix = matrix.float()
    matrix = matrix / matrix.norm().clamp(min=1e-7)
    gram = matrix @ matrix.t()
    first, second, third = COEFFICIENTS
    product: Tensor | None = None
    for one in range(ROUNDS):
        factor = torch.addmm(gram, gram, gram, beta=second, alpha=third)
        factor.diagonal().add_(first)
        product = factor if product is None else factor @ product
        if one < ROUNDS - 1:
            gram = factor @ gram @ factor
    assert product is not None
    return product @ matrix
