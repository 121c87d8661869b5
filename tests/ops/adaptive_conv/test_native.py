"""The C++ kernels do what the reference does, forward and backward, and say what keeps them from being built."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from allfocus.ops.adaptive_conv import native, operator, reference
from allfocus.ops.adaptive_conv.contract import FilterLayout

pytestmark = pytest.mark.skipif(native.obstacle() is not None, reason=f"no kernels: {native.obstacle()}")
SIZES = [(1, 1, 1), (3, 1, 4), (5, 7, 13), (17, 4, 1), (32, 5, 6)]
"""Channels, height, width."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activate_last", [True, False])
def test_float64_is_the_reference(problem, answers, size, tied: bool, activate_last: bool) -> None:
    channels, height, width = size
    tensors = problem(channels, 2, height, width)
    options = {"tied": tied, "activate_last": activate_last}
    wanted = answers(reference.iterative_adaptive_convolution, *tensors, 2, **options)
    ours = answers(operator.iterative_adaptive_convolution, *tensors, 2, backend="native", **options)
    for got, true in zip(ours, wanted, strict=True):
        torch.testing.assert_close(got, true, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tied", [True, False])
def test_its_error_is_at_most_twice_that_of_plain_torch(
    problem, answers, away_from_the_kink, dtype: torch.dtype, tied: bool
) -> None:
    features, filters = problem(16, 2, 7, 13)
    filters = away_from_the_kink(filters, FilterLayout(16, 2)).to(dtype).double()
    features = features.to(dtype).double()
    wanted = answers(reference.iterative_adaptive_convolution, features, filters, 2, tied=tied)
    low = features.to(dtype), filters.to(dtype)
    ours = answers(operator.iterative_adaptive_convolution, *low, 2, tied=tied, backend="native")
    plain = answers(operator.iterative_adaptive_convolution, *low, 2, tied=tied, backend="eager")
    for got, theirs, true in zip(ours, plain, wanted, strict=True):
        assert got.dtype == theirs.dtype == dtype
        resolution = torch.finfo(dtype).eps * true.abs().max()
        assert (got.double() - true).abs().max() <= 2 * (theirs.double() - true).abs().max() + resolution


def test_memory_format_and_threads_change_nothing() -> None:
    draw = torch.Generator().manual_seed(3)
    features, filters = torch.randn(3, 8, 5, 6, generator=draw), torch.randn(3, 56, 5, 6, generator=draw)
    wanted = operator.adaptive_pass(features, filters, backend="native")
    last = operator.adaptive_pass(
        *(one.contiguous(memory_format=torch.channels_last) for one in (features, filters)), backend="native"
    )
    assert wanted.is_contiguous() and last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(wanted, last)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(operator.adaptive_pass(features, filters, backend="native"), wanted)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_reach_all_four_tensors_of_a_predicted_convolution(tied: bool) -> None:
    layout = FilterLayout(3, 3)
    draw = torch.Generator().manual_seed(2)
    shapes = ((2, 3, 5, 7), (2, 6, 5, 7), (layout.total, 6, 1, 1), (layout.total,))
    leaves = [torch.randn(shape, dtype=torch.float64, generator=draw).mul_(0.4).requires_grad_() for shape in shapes]
    whole = functional.conv2d(leaves[1], leaves[2], leaves[3])
    wanted = reference.iterative_adaptive_convolution(leaves[0], whole, 3, tied=tied)
    got = operator.predicted_adaptive_convolution(*leaves, 3, tied=tied, backend="native")
    torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-12)
    weights = torch.linspace(-1, 1, got.numel(), dtype=torch.float64).view_as(got)
    for ours, true in zip(
        torch.autograd.grad((got * weights).sum(), leaves),
        torch.autograd.grad((wanted * weights).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, true, rtol=1e-10, atol=1e-12)


def test_it_is_compiled_once_and_again_for_another_source(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.library.cache_clear()
    try:
        native.library()
        first = list((tmp_path / "allfocus" / "native").iterdir())
        native.library.cache_clear()
        monkeypatch.setattr(subprocess, "run", lambda *given, **named: pytest.fail("compiled twice"))
        native.library()
        assert [path.suffix for path in first] == [".so"]
    finally:
        native.library.cache_clear()


def test_what_keeps_it_from_being_built_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.library.cache_clear()
    try:
        monkeypatch.setattr(native, "_compiler", lambda: None)
        assert native.obstacle() == "no C++ compiler (CXX, c++, g++, clang++) is installed"
        monkeypatch.setattr(native, "_compiler", lambda: "false")
        assert "'false'" in (native.obstacle() or "") and "exit status 1" in (native.obstacle() or "")
        monkeypatch.setenv("ALLFOCUS_NATIVE", "0")
        assert native.obstacle() == "the variable ALLFOCUS_NATIVE is 0"
    finally:
        native.library.cache_clear()
