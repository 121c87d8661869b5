"""One iteration of the adaptive convolution as a torch operator with its own gradient: `allfocus::adaptive_pass`.

Autograd over the eager version keeps every shifted copy; this operator keeps its inputs and its output. On CUDA it
runs the kernels of `triton.py` and on a CPU those of `native.py` where they can run (`choose.py` says), elsewhere the
same formulas in plain torch.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from allfocus.errors import OptionError
from allfocus.ops.adaptive_conv import native
from allfocus.ops.adaptive_conv.choose import choose
from allfocus.ops.adaptive_conv.contract import (
    NEGATIVE_SLOPE,
    TAPS,
    TIED_PLANES,
    FilterLayout,
    check_planes,
    check_shapes,
)
from allfocus.ops.adaptive_conv.eager import adaptive_pass as eager_pass


def iterative_adaptive_convolution(
    features: torch.Tensor, filters: torch.Tensor, iterations: int,
    *, tied: bool = False, activate_last: bool = True, backend: str = "auto",
) -> torch.Tensor:  # fmt: skip
    """As `reference.iterative_adaptive_convolution`, through the operator; `backend` as `choose.choose` takes it."""
    layout = check_shapes(tuple(features.shape), tuple(filters.shape), iterations)
    for n in range(iterations):
        parts = [layout.vertical(n)] if tied else [layout.vertical(n), layout.horizontal(n)]
        taps = [filters[:, rows].unflatten(1, (layout.channels, TAPS)).transpose(1, 2).flatten(1, 2) for rows in parts]
        planes = torch.cat([*taps, filters[:, layout.bias(n)]], dim=1)
        features = adaptive_pass(features, planes, activate=n < iterations - 1 or activate_last, backend=backend)
    return features


def predicted_adaptive_convolution(
    features: torch.Tensor,
    embedding: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    iterations: int,
    *,
    tied: bool = False,
    activate_last: bool = True,
    backend: str = "auto",
) -> torch.Tensor:
    """The adaptive convolution whose filters are a 1x1 convolution of an embedding: one iteration's exist at a time.

    In training too: each iteration's filters are predicted again when its gradient is taken, so that neither the
    whole filter tensor nor anything of its size is kept. Gradients reach all four tensors.

    Args:
        features: (B, C, H, W).
        embedding: (B, E, H, W) from which the filters are predicted.
        weight: (N*7*C, E, 1, 1) of the 1x1 convolution, rows in the order of `FilterLayout`.
        bias: (N*7*C,) of the same.
        iterations: N.
        tied: filter horizontally with the vertical filters again; the rows of the horizontal ones are not evaluated.
        activate_last: LeakyReLU(0.1) after the last iteration too.
        backend: see `choose.choose`.

    Returns:
        (B, C, H, W).

    Raises:
        OptionError: if the shapes do not belong together.
    """
    layout = FilterLayout(features.shape[1], iterations)
    wanted = (layout.total, embedding.shape[1], 1, 1)
    if tuple(weight.shape) != wanted or tuple(bias.shape) != (layout.total,):
        raise OptionError(
            f"a head of weights {tuple(weight.shape)} and biases {tuple(bias.shape)}",
            f"{wanted} and ({layout.total},) for {iterations} iterations on {layout.channels} channels",
            "the head that was built for these features",
        )
    kind = features.device.type
    if torch.is_autocast_enabled(kind):
        common = torch.get_autocast_dtype(kind)
    else:
        common = functools.reduce(torch.promote_types, (one.dtype for one in (features, embedding, weight)))
    planes_weight, planes_bias = (_plane_rows(one.to(common), layout, tied) for one in (weight.flatten(1), bias))
    with torch.autocast(kind, enabled=False):
        return _PredictedPasses.apply(  # type: ignore[no-any-return]
            features,
            embedding.to(common),
            planes_weight,
            planes_bias,
            activate_last,
            choose(features, backend).name,
        )


def _plane_rows(head: torch.Tensor, layout: FilterLayout, tied: bool) -> torch.Tensor:
    """The head's rows (N*7*C, ...) by iteration, regrouped from channel major to tap major: (N, 7*C or 4*C, ...)."""
    directions, rest = 2, head.shape[1:]
    taps, biases = head.split([layout.total - layout.iterations * layout.channels, layout.iterations * layout.channels])
    taps = taps.unflatten(0, (layout.iterations, directions, layout.channels, TAPS))
    taps = taps[:, :1] if tied else taps
    taps = taps.transpose(2, 3).flatten(1, 3)
    return torch.cat([taps, biases.view(layout.iterations, layout.channels, *rest)], dim=1)


class _PredictedPasses(torch.autograd.Function):
    """All iterations; each one's filters are predicted again for the gradient.

    What passes through is kept in float32 between the iterations where the native kernels run, else in the filters'
    dtype.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: torch.Tensor,
        embedding: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        activate_last: bool,
        backend: str,
    ) -> torch.Tensor:
        """See `predicted_adaptive_convolution`; weight (N, 7*C or 4*C, E) and bias (N, 7*C or 4*C)."""
        guide = _pixels(embedding)
        state = features if backend == "native" else features.to(embedding.dtype)
        state = state.float() if state.dtype in (torch.bfloat16, torch.float16) and backend == "native" else state
        states = [state]
        for n in range(len(weight)):
            planes = _pictures(torch.addmm(bias[n], guide, weight[n].t()), embedding)
            states.append(_adaptive_pass(states[-1], planes, n < len(weight) - 1 or activate_last, backend))
        ctx.save_for_backward(embedding, weight, bias, *states)
        ctx.activate_last, ctx.backend, ctx.dtype = activate_last, backend, features.dtype
        return states[-1].to(torch.promote_types(features.dtype, embedding.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple:
        """Gradients of the four tensors."""
        embedding, weight, bias, *states = ctx.saved_tensors
        guide = _pixels(embedding)
        gradient = gradients[0].to(states[-1].dtype)
        to_guide = torch.zeros(guide.shape, dtype=states[-1].dtype, device=guide.device)
        to_weight, to_bias = torch.empty_like(weight), torch.empty_like(bias)
        for n in reversed(range(len(weight))):
            planes = _pictures(torch.addmm(bias[n], guide, weight[n].t()), embedding)
            activate = n < len(weight) - 1 or ctx.activate_last
            gradient, to_planes = _adaptive_pass_backward(
                gradient, states[n], planes, states[n + 1], activate, ctx.backend
            )
            to_rows = _pixels(to_planes)
            torch.mm(to_rows.t(), guide, out=to_weight[n])
            torch.sum(to_rows, 0, out=to_bias[n])
            to_guide += torch.mm(to_rows, weight[n])
        to_embedding = _pictures(to_guide, embedding).to(embedding.dtype)
        return gradient.to(ctx.dtype), to_embedding, to_weight, to_bias, None, None


def _pixels(pictures: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B*H*W, C)."""
    return pictures.permute(0, 2, 3, 1).reshape(-1, pictures.shape[1])


def _pictures(pixels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(B*H*W, C) -> (B, C, H, W), channels last, of the batch and size of another."""
    batch, _, height, width = like.shape
    return pixels.view(batch, height, width, -1).permute(0, 3, 1, 2)


def adaptive_pass(
    features: torch.Tensor, filters: torch.Tensor, *, activate: bool = True, backend: str = "auto"
) -> torch.Tensor:
    """One iteration: vertical filter, horizontal filter, bias, LeakyReLU(0.1).

    Args:
        features: (B, C, H, W).
        filters: (B, 7*C, H, W): planes of C channels, the taps above, at and below, those left, at and right, and the
            bias. Or (B, 4*C, H, W) for tied filters: the taps of both directions, and the bias.
        activate: apply the LeakyReLU.
        backend: see `choose.choose`.

    Returns:
        (B, C, H, W) in the features' memory format and the wider dtype of the two.

    Raises:
        OptionError: if shapes or devices do not belong together, or the backend cannot run here.
    """
    check_planes(tuple(features.shape), tuple(filters.shape))
    if features.device != filters.device:
        raise OptionError(f"features on {features.device}, filters on {filters.device}", "one device", "move one")
    common = torch.promote_types(features.dtype, filters.dtype)
    features, filters = features.to(common), filters.to(common)
    return _adaptive_pass(features, filters, activate, choose(features, backend).name)


@torch.library.custom_op("allfocus::adaptive_pass", mutates_args=())
def _adaptive_pass(features: torch.Tensor, filters: torch.Tensor, activate: bool, backend: str) -> torch.Tensor:
    if backend == "triton":
        from allfocus.ops.adaptive_conv.triton import forward_pass

        return forward_pass(features, filters, activate)
    if backend == "native":
        return _like(native.forward_pass(features, filters, activate), features)
    vertical, horizontal, bias = _split(features, filters)
    return _like(eager_pass(features, vertical, horizontal, bias, activate=activate), features)


@_adaptive_pass.register_fake
def _(features: torch.Tensor, filters: torch.Tensor, activate: bool, backend: str) -> torch.Tensor:
    return torch.empty_like(features)


@torch.library.custom_op("allfocus::adaptive_pass_backward", mutates_args=())
def _adaptive_pass_backward(
    gradient: torch.Tensor,
    features: torch.Tensor,
    filters: torch.Tensor,
    output: torch.Tensor,
    activate: bool,
    backend: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    if backend == "triton":
        from allfocus.ops.adaptive_conv.triton import backward_pass

        return backward_pass(gradient, features, filters, output, activate)
    if backend == "native":
        found = native.backward_pass(gradient, features, filters, output, activate)
        return _like(found[0], features), _like(found[1], filters)
    vertical, horizontal, _ = _split(features, filters)
    filters_gradient = torch.empty_like(filters)
    planes = filters_gradient.unflatten(1, (-1, features.shape[1]))  # (B, 7 or 4, C, H, W)
    row = torch.where(output > 0, gradient, NEGATIVE_SLOPE * gradient) if activate else gradient
    planes[:, -1] = row
    column = _filtered(features, vertical, 2)
    column_gradient = _filtered_transposed(row, horizontal, 3)
    for tap, (above, left) in enumerate(zip(_neighbours(features, 2), _neighbours(column, 3), strict=True)):
        torch.mul(column_gradient, above, out=planes[:, tap])
        if horizontal is vertical:
            planes[:, tap].addcmul_(row, left)
        else:
            torch.mul(row, left, out=planes[:, TAPS + tap])
    return _like(_filtered_transposed(column_gradient, vertical, 2), features), filters_gradient


@_adaptive_pass_backward.register_fake
def _(_gradient: torch.Tensor, features: torch.Tensor, filters: torch.Tensor, *_: object) -> tuple[torch.Tensor, ...]:
    return torch.empty_like(features), torch.empty_like(filters)


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: torch.Tensor) -> None:
    features, filters, ctx.activate, ctx.backend = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(features, filters, output)


def _backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple:
    features, filters, output = ctx.saved_tensors  # type: ignore[attr-defined]
    options = ctx.activate, ctx.backend  # type: ignore[attr-defined]
    return *_adaptive_pass_backward(gradient, features, filters, output, *options), None, None


_adaptive_pass.register_autograd(_backward, setup_context=_keep)

_Taps = tuple[torch.Tensor, ...]


def _split(features: torch.Tensor, filters: torch.Tensor) -> tuple[_Taps, _Taps, torch.Tensor]:
    planes = filters.unflatten(1, (-1, features.shape[1])).unbind(1)
    vertical = planes[:TAPS]
    return vertical, vertical if len(planes) == TIED_PLANES else planes[TAPS : 2 * TAPS], planes[-1]


def _neighbours(picture: torch.Tensor, axis: int) -> _Taps:
    """Each pixel's neighbour before, itself, and the one after, borders replicated."""
    last = picture.shape[axis] - 1
    before = torch.cat([picture.narrow(axis, 0, 1), picture.narrow(axis, 0, last)], axis)
    after = torch.cat([picture.narrow(axis, 1, last), picture.narrow(axis, last, 1)], axis)
    return before, picture, after


def _filtered(picture: torch.Tensor, taps: _Taps, axis: int) -> torch.Tensor:
    before, _, after = _neighbours(picture, axis)
    return torch.addcmul(taps[1] * picture, taps[0], before).addcmul_(taps[2], after)


def _filtered_transposed(gradient: torch.Tensor, taps: _Taps, axis: int) -> torch.Tensor:
    """Gradient of `_filtered` with respect to its picture: each pixel collects from those that read it."""
    last = gradient.shape[axis] - 1
    collected = taps[1] * gradient
    to_before, to_after = taps[0] * gradient, taps[2] * gradient
    collected.narrow(axis, 0, last).add_(to_before.narrow(axis, 1, last))
    collected.narrow(axis, 0, 1).add_(to_before.narrow(axis, 0, 1))
    collected.narrow(axis, 1, last).add_(to_after.narrow(axis, 0, last))
    collected.narrow(axis, last, 1).add_(to_after.narrow(axis, last, 1))
    return collected


def _like(result: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The result in the memory format that the shape-only version promises."""
    empty = torch.empty_like(wanted)
    return result if result.stride() == empty.stride() else empty.copy_(result)
