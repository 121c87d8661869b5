"""The effective kernels are what the filters do: the derivative of the reference, at the place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from allfocus.errors import OptionError
from allfocus.nets.effective import look
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture
from allfocus.ops.adaptive_conv.reference import iterative_adaptive_convolution

SIDE = 8


def opened(**options: Any) -> IFAN:
    """A small network whose filters pass something on, as trained ones should."""
    torch.manual_seed(0)
    net = Architecture(iterations=2, width=4, **options).build().eval()
    with torch.no_grad():
        bias = net.filter_head.project.bias
        assert bias is not None
        bias.normal_(0.3, 0.2)
    return net


def encoded(net: IFAN, photo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Deepest features and the whole filter tensor."""
    with torch.no_grad():
        filters = net(photo, return_filters=True).filters
        return net.encode(photo)[0][-1], filters


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"family": "filters"}], ids=["untied", "tied", "no disparity"])
@pytest.mark.parametrize(("x", "y"), [(27, 17), (0, 0), (71, 55)])
def test_kernels_are_the_derivative_of_the_reference(options: dict[str, Any], x: int, y: int) -> None:
    net = opened(**options)
    photo = torch.rand(1, 3, 7 * SIDE, 9 * SIDE)
    found = look(net, photo, x, y)
    row, column = y // SIDE, x // SIDE
    assert found.kernels.shape == (16, 5, 5)
    assert np.abs(found.kernels).max() > 0.01
    features, filters = encoded(net, photo)
    nudge = torch.randn(features.shape, dtype=torch.float64)
    small = 1e-7
    after, before = (
        iterative_adaptive_convolution(features.double() + sign * small * nudge, filters, 2, tied=net.tied)
        for sign in (1, -1)
    )
    slope = ((after - before) / (2 * small))[0, :, row, column]
    window = torch.nn.functional.pad(nudge[0], (2, 2, 2, 2))[:, row : row + 5, column : column + 5]
    told = (torch.from_numpy(found.kernels).double() * window).sum(dim=(1, 2))
    torch.testing.assert_close(told, slope, atol=1e-5, rtol=1e-3)


def test_the_field_is_where_the_result_moves() -> None:
    net = opened()
    photo = torch.rand(1, 3, 5 * SIDE, 6 * SIDE)
    found = look(net, photo, 20, 11)
    assert found.field.shape == (40, 48)
    y, x = np.unravel_index(found.field.argmax(), found.field.shape)
    changed = photo.clone()
    changed[0, :, y, x] += 1e-2
    with torch.no_grad():
        moved = (net(changed).residual - net(photo).residual)[0, :, 11, 20].mean()
    assert 0 < float(moved.abs()) <= 1.5e-2 * found.field[y, x]
    with torch.no_grad():
        output = net(photo)
    np.testing.assert_allclose(found.residual, output.residual[0, :, 11, 20].numpy(), rtol=1e-5)
    assert found.disparity == pytest.approx(output.disparity[0, 0, 1, 2].item())
    assert not photo.requires_grad


@pytest.mark.parametrize(
    "wanted", [Architecture(views=2), Architecture(family="plain"), Architecture(family="disparity")]
)
def test_networks_without_filters_or_of_two_views_are_refused(wanted: Architecture) -> None:
    with torch.device("meta"):
        net = wanted.build()
    with pytest.raises(OptionError, match="expected one view and filters"):
        look(net, torch.rand(1, 3, 8, 8), 0, 0)
