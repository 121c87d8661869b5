"""The effective kernel of the stacked filters at one pixel, and its receptive field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from allfocus.errors import OptionError
from allfocus.nets.ifan import IFAN


@dataclass(frozen=True)
class Effective:
    """The network at one place of one photo.

    Attributes:
        kernels: (C, 2N+1, 2N+1) what each filtered feature at the place takes from the features around it, a cell a
            step. All N pairs of 1-D filters composed, with the slopes of the LeakyReLUs that the photo puts them on:
            exact for this photo, apart from the biases.
        field: (H, W) how much the residual at the place moves with each pixel of the photo, summed over its channels.
        residual: (3,) at the place.
        disparity: at the place in cells, or None from a network that estimates none.
    """

    kernels: NDArray[np.float32]
    field: NDArray[np.float32]
    residual: NDArray[np.float32]
    disparity: float | None


def look(net: IFAN, photo: torch.Tensor, x: int, y: int) -> Effective:
    """Take a network of one view apart at column x and row y of a photo (1, 3, H, W), of multiples of `net.multiple`.

    OptionError: a network without filters or of two views.
    """
    if not hasattr(net, "filter_head") or net.views != 1:
        raise OptionError(f"a {type(net).__name__} of {net.views} view(s)", "one view and filters", "ifan or ifan-fast")
    net = net.eval().requires_grad_(False)
    photo = photo.clone().requires_grad_()
    found = net(photo)
    (moved,) = torch.autograd.grad(found.residual[0, :, y, x].mean(), photo)
    row, column = y // net.multiple, x // net.multiple
    return Effective(
        _kernels(net, photo.detach(), row, column),
        moved[0].abs().sum(dim=0).numpy(),
        found.residual[0, :, y, x].detach().numpy(),
        None if found.disparity is None else found.disparity[0, 0, row, column].item(),
    )


def _kernels(net: IFAN, photo: torch.Tensor, row: int, column: int) -> NDArray[np.float32]:
    """The gradient of the filtered features at a cell: channels are filtered apart, so one pass tells all of them."""
    with torch.no_grad():
        features, embedding = net.encode(photo)
    features = features[-1].requires_grad_()
    filtered, _, _ = net.middle(features, embedding, False)
    (taken,) = torch.autograd.grad(filtered[0, :, row, column].sum(), features)
    reach = net.iterations
    padded = torch.nn.functional.pad(taken[0], (reach, reach, reach, reach))
    return padded[:, row : row + 2 * reach + 1, column : column + 2 * reach + 1].numpy()
