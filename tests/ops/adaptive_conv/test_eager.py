"""The vectorised implementation against the oracle: values, gradients, layouts, precisions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.errors import OptionError
from allfocus.ops.adaptive_conv import eager, reference

ODD_SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (7, 13)]


@pytest.mark.parametrize("activate_last", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("height, width", ODD_SIZES)
def test_equals_the_reference(height, width, tied, activate_last, problem) -> None:
    features, filters = problem(3, 3, height, width)
    wanted = reference.iterative_adaptive_convolution(features, filters, 3, tied=tied, activate_last=activate_last)
    got = eager.iterative_adaptive_convolution(features, filters, 3, tied=tied, activate_last=activate_last)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(
    channels=st.integers(1, 4),
    iterations=st.integers(1, 4),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    tied=st.booleans(),
    seed=st.integers(0, 999),
)
def test_equals_the_reference_everywhere(problem, channels, iterations, height, width, tied, seed) -> None:
    features, filters = problem(channels, iterations, height, width, seed=seed)
    wanted = reference.iterative_adaptive_convolution(features, filters, iterations, tied=tied)
    got = eager.iterative_adaptive_convolution(features, filters, iterations, tied=tied)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("height, width", ODD_SIZES)
def test_gradients_equal_those_of_the_reference(height, width, tied, problem, answers) -> None:
    tensors = problem(2, 3, height, width)
    wanted = answers(reference.iterative_adaptive_convolution, *tensors, 3, tied=tied)
    got = answers(eager.iterative_adaptive_convolution, *tensors, 3, tied=tied)
    for one, other in zip(wanted, got, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activate_last", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_gradcheck(tied, activate_last, problem) -> None:
    features, filters = (tensor.requires_grad_() for tensor in problem(2, 2, 3, 4))
    assert torch.autograd.gradcheck(
        lambda e, f: eager.iterative_adaptive_convolution(e, f, 2, tied=tied, activate_last=activate_last),
        (features, filters),
    )


def test_channels_last_gives_the_same(problem) -> None:
    features, filters = problem(4, 2, 7, 13, torch.float32)
    wanted = eager.iterative_adaptive_convolution(features, filters, 2)
    got = eager.iterative_adaptive_convolution(
        features.to(memory_format=torch.channels_last), filters.to(memory_format=torch.channels_last), 2
    )
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tied", [True, False])
def test_precision_is_what_rounding_each_operation_costs(dtype, tied, problem) -> None:
    """Per iteration at most 11 roundings of values no larger than the sums of magnitudes that meet there."""
    iterations = 5
    features, filters = problem(3, iterations, 7, 13, dtype)
    wanted = reference.iterative_adaptive_convolution(features, filters, iterations, tied=tied)
    magnitude = reference.iterative_adaptive_convolution(features.abs(), filters.abs(), iterations, tied=tied)
    got = eager.iterative_adaptive_convolution(features, filters, iterations, tied=tied)
    assert got.dtype == dtype
    assert ((got.double() - wanted).abs() <= 11 * iterations * torch.finfo(dtype).eps / 2 * magnitude).all()


def test_refuses_shapes_that_do_not_belong_together() -> None:
    with pytest.raises(OptionError, match="filters of shape"):
        eager.iterative_adaptive_convolution(torch.zeros(1, 2, 4, 4), torch.zeros(1, 14, 4, 5), 1)
