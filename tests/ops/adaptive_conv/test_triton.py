"""The fused kernels against the oracle: on a CUDA device where there is one, else through Triton's interpreter."""

from __future__ import annotations

import os

import pytest
import torch

CUDA = torch.cuda.is_available()
if not CUDA:
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is first imported, so before any test runs
pytest.importorskip("triton")

from allfocus.ops.adaptive_conv import eager, operator, reference  # noqa: E402
from allfocus.ops.adaptive_conv.contract import FilterLayout  # noqa: E402

DEVICE = "cuda" if CUDA else "cpu"
ODD_SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (7, 13)]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("height, width", ODD_SIZES)
def test_value_and_gradient_equal_those_of_the_reference(height, width, tied, problem, answers) -> None:
    tensors = problem(3, 2, height, width, device=DEVICE)
    wanted = answers(reference.iterative_adaptive_convolution, *tensors, 2, tied=tied)
    ours = answers(operator.iterative_adaptive_convolution, *tensors, 2, tied=tied, backend="triton")
    for one, got in zip(wanted, ours, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-10, atol=1e-12)


def test_without_the_last_activation(problem, answers) -> None:
    tensors = problem(3, 2, 3, 4, device=DEVICE)
    wanted = answers(reference.iterative_adaptive_convolution, *tensors, 2, activate_last=False)
    ours = answers(operator.iterative_adaptive_convolution, *tensors, 2, activate_last=False, backend="triton")
    for one, got in zip(wanted, ours, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tied", [True, False])
def test_precision_is_no_worse_than_twice_that_of_plain_torch(
    dtype, tied, problem, answers, away_from_the_kink
) -> None:
    features, filters = problem(3, 2, 7, 13, dtype, device=DEVICE)
    filters = away_from_the_kink(filters, FilterLayout(3, 2))
    wanted = answers(reference.iterative_adaptive_convolution, features, filters, 2, tied=tied)
    plain = answers(eager.iterative_adaptive_convolution, features, filters, 2, tied=tied)
    ours = answers(operator.iterative_adaptive_convolution, features, filters, 2, tied=tied, backend="triton")
    # the interpreter cuts float32 down to bfloat16 where a device rounds, which costs twice as much
    factor = 4 if dtype == torch.bfloat16 and not CUDA else 2
    for one, theirs, got in zip(wanted, plain, ours, strict=True):
        assert got.dtype == dtype
        assert (got.double() - one).norm() <= factor * (theirs.double() - one).norm()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("tied", [True, False])
def test_several_blocks_in_either_memory_order(tied, layout, problem, answers) -> None:
    """More elements than one program handles, against the plain version."""
    tensors = problem(5, 1, 9, 11, device=DEVICE)
    wanted = answers(eager.iterative_adaptive_convolution, *tensors, 1, tied=tied)
    features, filters = (one.to(memory_format=layout) for one in tensors)
    ours = answers(operator.iterative_adaptive_convolution, features, filters, 1, tied=tied, backend="triton")
    for one, got in zip(wanted, ours, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-10, atol=1e-12)


def test_gradcheck_of_one_pass() -> None:
    draw = torch.Generator().manual_seed(3)
    features, filters = (
        torch.randn(1, channels, 1, 2, dtype=torch.float64, generator=draw).to(DEVICE).requires_grad_()
        for channels in (1, 7)
    )
    assert torch.autograd.gradcheck(lambda e, f: operator.adaptive_pass(e, f, backend="triton"), (features, filters))


def test_scratch_outside_the_tensors_is_neither_read_nor_written() -> None:
    """The features and filters are islands in a sea of NaN; no NaN comes ashore, and the sea stays as it was."""
    sea = torch.full((2, 30, 9, 11), float("nan"), dtype=torch.float64, device=DEVICE)
    features, filters = sea[:, 1:4, 2:7, 3:9], sea[:, 5:26, 2:7, 3:9]
    draw = torch.Generator().manual_seed(4)
    for island in (features, filters):
        island.copy_(torch.randn(island.shape, dtype=torch.float64, generator=draw))
    before = sea.clone()
    got = operator.adaptive_pass(features, filters, backend="triton")
    wanted = operator.adaptive_pass(features.contiguous(), filters.contiguous(), backend="eager")
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    assert torch.equal(sea.isnan(), before.isnan())


def test_nothing_to_do_is_done() -> None:
    assert operator.adaptive_pass(torch.zeros(0, 2, 3, 3), torch.zeros(0, 14, 3, 3)).shape == (0, 2, 3, 3)
