"""The fused kernels against the oracle: on a CUDA device where there is one, else through Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

CUDA = torch.cuda.is_available()
if not CUDA and find_spec("triton"):
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


COMPILATION = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from allfocus.ops.adaptive_conv.triton import _backward, _forward

SWITCHES = {"TIED": %s, "CHANNELS_LAST": %s, "DOUBLE": False, "SLOPE": 0.1, "BLOCK": 256, "ACTIVATE": True}
TENSORS = ("gradient", "features", "filters", "output", "features_gradient", "filters_gradient")
for kernel in (_forward, _backward):
    kinds = {name: "*%s" if name in TENSORS else "i32" for name in kernel.arg_names}
    kinds.update(dict.fromkeys(SWITCHES, "constexpr"))
    compiled = triton.compile(ASTSource(kernel, kinds, SWITCHES), target=GPUTarget("cuda", 90, 32))
    print(kernel.__name__, len(compiled.asm["cubin"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("switches", [("False", "False", "bf16"), ("True", "True", "fp32")])
def test_the_kernels_compile_for_a_cuda_device_that_is_not_here(switches) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    script = [sys.executable, "-c", COMPILATION % switches]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["_forward", "_backward"]


def test_nothing_to_do_is_done() -> None:
    assert operator.adaptive_pass(torch.zeros(0, 2, 3, 3), torch.zeros(0, 14, 3, 3)).shape == (0, 2, 3, 3)
