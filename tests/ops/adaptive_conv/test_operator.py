"""The torch operator: schema, shape-only version and gradient formula, and the two ways of feeding it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from allfocus.errors import OptionError
from allfocus.ops.adaptive_conv import eager, operator, reference
from allfocus.ops.adaptive_conv.contract import FilterLayout

ODD_SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (7, 13)]


def one_pass(height: int, width: int, tied: bool, dtype=torch.float64):
    """Features and the filters of one iteration."""
    draw = torch.Generator().manual_seed(1)
    planes = 4 if tied else 7
    return tuple(
        torch.randn(2, channels, height, width, dtype=dtype, generator=draw).requires_grad_()
        for channels in (3, 3 * planes)
    )


@pytest.mark.parametrize("activate_last", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("height, width", ODD_SIZES)
def test_value_and_gradient_equal_those_of_the_reference(height, width, tied, activate_last, problem, answers) -> None:
    tensors = problem(2, 3, height, width)
    options = {"tied": tied, "activate_last": activate_last}
    wanted = answers(reference.iterative_adaptive_convolution, *tensors, 3, **options)
    ours = answers(operator.iterative_adaptive_convolution, *tensors, 3, **options)
    for one, got in zip(wanted, ours, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tied", [True, False])
def test_precision_is_no_worse_than_twice_that_of_plain_torch(
    dtype, tied, problem, answers, away_from_the_kink
) -> None:
    features, filters = problem(3, 2, 7, 13, dtype)
    filters = away_from_the_kink(filters, FilterLayout(3, 2))
    wanted = answers(reference.iterative_adaptive_convolution, features, filters, 2, tied=tied)
    plain = answers(eager.iterative_adaptive_convolution, features, filters, 2, tied=tied)
    ours = answers(operator.iterative_adaptive_convolution, features, filters, 2, tied=tied)
    for one, theirs, got in zip(wanted, plain, ours, strict=True):
        assert got.dtype == dtype
        assert (got.double() - one).norm() <= 2 * (theirs.double() - one).norm()


@pytest.mark.parametrize("activate", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("height, width", [(1, 1), (3, 4)])
def test_opcheck_and_gradcheck(height: int, width: int, tied: bool, activate: bool) -> None:
    features, filters = one_pass(height, width, tied)
    torch.library.opcheck(torch.ops.allfocus.adaptive_pass.default, (features, filters, activate, "eager"))
    output = operator.adaptive_pass(features, filters, activate=activate).detach()
    details = (torch.ones_like(output), features.detach(), filters.detach(), output, activate, "eager")
    torch.library.opcheck(torch.ops.allfocus.adaptive_pass_backward.default, details)
    assert torch.autograd.gradcheck(lambda e, f: operator.adaptive_pass(e, f, activate=activate), (features, filters))


def test_opcheck_in_channels_last() -> None:
    features, filters = (
        one.detach().to(memory_format=torch.channels_last).requires_grad_() for one in one_pass(4, 5, False)
    )
    torch.library.opcheck(torch.ops.allfocus.adaptive_pass.default, (features, filters, True, "eager"))
    assert operator.adaptive_pass(features, filters).is_contiguous(memory_format=torch.channels_last)


def test_strided_inputs_give_the_same() -> None:
    features, filters = (one.detach() for one in one_pass(6, 8, False))
    wanted = operator.adaptive_pass(features[:, :, ::2, 1:6], filters[:, :, ::2, 1:6])
    got = operator.adaptive_pass(features[:, :, ::2, 1:6].contiguous(), filters[:, :, ::2, 1:6].contiguous())
    assert torch.equal(wanted, got)


def test_the_shape_only_version_computes_nothing() -> None:
    features, filters = torch.empty(1, 8, 5, 7, device="meta"), torch.empty(1, 56, 5, 7, device="meta")
    assert operator.adaptive_pass(features, filters).shape == (1, 8, 5, 7)


def test_it_can_be_compiled_as_one_graph() -> None:
    compiled = torch.compile(lambda e, f: operator.adaptive_pass(e, f) * 2, backend="aot_eager", fullgraph=True)
    features, filters = one_pass(3, 5, True)
    compiled(features, filters).sum().backward()
    assert features.grad is not None
    wanted = torch.autograd.grad((operator.adaptive_pass(features, filters) * 2).sum(), features)[0]
    torch.testing.assert_close(features.grad, wanted)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activate_last", [True, False])
def test_predicted_filters_equal_the_whole_filter_tensor(tied: bool, activate_last: bool) -> None:
    layout = FilterLayout(3, 3)
    draw = torch.Generator().manual_seed(2)
    shapes = ((2, 3, 5, 4), (2, 6, 5, 4), (layout.total, 6, 1, 1), (layout.total,))
    leaves = [torch.randn(shape, dtype=torch.float64, generator=draw).mul_(0.4).requires_grad_() for shape in shapes]
    features, embedding, weight, bias = leaves
    whole = eager.iterative_adaptive_convolution(
        features, functional.conv2d(embedding, weight, bias), 3, tied=tied, activate_last=activate_last
    )
    got = operator.predicted_adaptive_convolution(
        features, embedding, weight, bias, 3, tied=tied, activate_last=activate_last
    )
    torch.testing.assert_close(got, whole, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(
            operator.predicted_adaptive_convolution(*leaves, 3, tied=tied, activate_last=activate_last), whole
        )
    for ours, theirs in zip(
        torch.autograd.grad(got.square().sum(), leaves), torch.autograd.grad(whole.square().sum(), leaves), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_training_keeps_nothing_of_the_size_of_the_filters() -> None:
    """Per iteration one feature map stays for the gradient, where the plain version keeps about twenty."""
    layout = FilterLayout(4, 6)
    features, embedding = torch.randn(1, 4, 9, 9, requires_grad=True), torch.randn(1, 4, 9, 9)
    weight, bias = torch.randn(layout.total, 4, 1, 1, requires_grad=True), torch.zeros(layout.total)
    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.untyped_storage().nbytes() if tensor.shape[-1] == 9 else 0)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        operator.predicted_adaptive_convolution(features, embedding, weight, bias, 6)
    # outside the recomputed part nothing is saved at all; its inputs are held by reference
    assert sum(kept) <= 6 * 2 * features.untyped_storage().nbytes()


def test_mixed_precision_computes_in_the_wider() -> None:
    features, filters = (one.detach() for one in one_pass(3, 4, False, torch.float32))
    assert operator.adaptive_pass(features, filters.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    "shapes", [((1, 2, 3, 3), (1, 10, 3, 3)), ((1, 2, 3, 3), (1, 14, 3, 4)), ((2, 3, 3), (14, 3, 3))]
)
def test_refuses_shapes_that_do_not_belong_together(shapes) -> None:
    with pytest.raises(OptionError, match=r"or \(B, 4\*C, H, W\) for tied filters"):
        operator.adaptive_pass(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_refuses_a_head_of_another_size_and_devices_apart() -> None:
    with pytest.raises(OptionError, match=r"a head of weights \(20, 2, 1, 1\)"):
        operator.predicted_adaptive_convolution(
            torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, 2), torch.zeros(20, 2, 1, 1), torch.zeros(20), 1
        )
    with pytest.raises(OptionError, match="features on cpu, filters on meta"):
        operator.adaptive_pass(torch.zeros(1, 2, 3, 3), torch.zeros(1, 14, 3, 3, device="meta"))
