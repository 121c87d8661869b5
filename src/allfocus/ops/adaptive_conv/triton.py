# pyright: reportIndexIssue=false, reportMissingImports=false
"""The fused kernels for CUDA: one pass over memory forward, one backward; nothing shifted is ever written.

One program handles a block of elements of one batch entry, in the order in which the features lie in memory. Each
element computes the columns that it needs again instead of sharing them: the loads hit the cache, and no program
waits for another, so the gradient is the same in every run. Sums are taken in float32 (float64 for float64).

Letters: B batch, C channels, H height, W width; `_at` names are element offsets in memory.
"""

# pyright: reportArgumentType=false
# Triton annotates what a kernel receives, and launches take plain numbers.

from __future__ import annotations

import torch
import triton
import triton.language as tl

from allfocus.ops.adaptive_conv.contract import NEGATIVE_SLOPE, TIED_PLANES

BLOCK = 256


def forward_pass(features: torch.Tensor, filters: torch.Tensor, activate: bool) -> torch.Tensor:
    """One iteration; as `operator.adaptive_pass`, unchecked. Any strides are taken."""
    output = torch.empty_like(features)
    if output.numel():
        with torch.cuda.device_of(features):
            _forward[_grid(features)](
                features, filters, output, *features.stride(), *filters.stride(), *output.stride(),
                **_sizes(features, filters), ACTIVATE=activate,
            )  # fmt: skip
    return output


def backward_pass(
    gradient: torch.Tensor, features: torch.Tensor, filters: torch.Tensor, output: torch.Tensor, activate: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of one iteration with respect to features and filters, of any strides; see `native.backward_pass`."""
    features_gradient, filters_gradient = torch.empty_like(features), torch.empty_like(filters)
    if features.numel():
        with torch.cuda.device_of(features):
            _backward[_grid(features)](
                gradient, features, filters, output, features_gradient, filters_gradient,
                *gradient.stride(), *features.stride(), *filters.stride(), *output.stride(),
                *features_gradient.stride(), *filters_gradient.stride(), **_sizes(features, filters), ACTIVATE=activate,
            )  # fmt: skip
    return features_gradient, filters_gradient


def _grid(features: torch.Tensor) -> tuple[int, int]:
    return triton.cdiv(features[0].numel(), BLOCK), features.shape[0]


def _sizes(features: torch.Tensor, filters: torch.Tensor) -> dict[str, object]:
    _, channels, height, width = features.shape
    return {
        "C": channels,
        "H": height,
        "W": width,
        "TIED": filters.shape[1] == TIED_PLANES * channels,
        "CHANNELS_LAST": features.stride(1) == 1 and channels > 1,
        "DOUBLE": features.dtype == torch.float64,
        "SLOPE": NEGATIVE_SLOPE,
        "BLOCK": BLOCK,
    }


@triton.jit
def _load(pointer, at, mask, DOUBLE: tl.constexpr):
    value = tl.load(pointer + at, mask=mask, other=0.0)
    return value.to(tl.float64) if DOUBLE else value.to(tl.float32)


@triton.jit
def _place(C, H, W, CHANNELS_LAST: tl.constexpr, BLOCK: tl.constexpr):
    """Batch entry of this program; channel, row and column of each of its elements, and which of them exist."""
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = element < C * H * W
    if CHANNELS_LAST:
        channel, pixel = element % C, element // C
    else:
        channel, pixel = element // (H * W), element % (H * W)
    return tl.program_id(1).to(tl.int64), channel, pixel // W, pixel % W, mask


@triton.jit
def _column(features, filters, f_row, f_base, k_at, k_plane, y, H, mask, DOUBLE: tl.constexpr):
    """The vertically filtered feature at row y of the image column that f_base points to."""
    above = tl.where(y > 0, y - 1, 0)
    below = tl.where(y < H - 1, y + 1, H - 1)
    total = _load(filters, k_at, mask, DOUBLE) * _load(features, f_base + above * f_row, mask, DOUBLE)
    total += _load(filters, k_at + k_plane, mask, DOUBLE) * _load(features, f_base + y * f_row, mask, DOUBLE)
    total += _load(filters, k_at + 2 * k_plane, mask, DOUBLE) * _load(features, f_base + below * f_row, mask, DOUBLE)
    return total


@triton.jit
def _forward(
    features, filters, output,
    f_batch, f_channel, f_row, f_column, k_batch, k_channel, k_row, k_column, o_batch, o_channel, o_row, o_column,
    C, H, W,
    TIED: tl.constexpr, CHANNELS_LAST: tl.constexpr, DOUBLE: tl.constexpr, SLOPE: tl.constexpr, BLOCK: tl.constexpr,
    ACTIVATE: tl.constexpr,
):  # fmt: skip
    batch, channel, y, x, mask = _place(C, H, W, CHANNELS_LAST, BLOCK)
    f_at = batch * f_batch + channel * f_channel
    k_plane = C * k_channel
    k_line = batch * k_batch + channel * k_channel + y * k_row
    left = tl.where(x > 0, x - 1, 0)
    right = tl.where(x < W - 1, x + 1, W - 1)
    k_at = k_line + x * k_column
    h_at = k_at if TIED else k_at + 3 * k_plane
    total = _load(filters, h_at, mask, DOUBLE) * _column(
        features, filters, f_row, f_at + left * f_column, k_line + left * k_column, k_plane, y, H, mask, DOUBLE
    )
    total += _load(filters, h_at + k_plane, mask, DOUBLE) * _column(
        features, filters, f_row, f_at + x * f_column, k_at, k_plane, y, H, mask, DOUBLE
    )
    total += _load(filters, h_at + 2 * k_plane, mask, DOUBLE) * _column(
        features, filters, f_row, f_at + right * f_column, k_line + right * k_column, k_plane, y, H, mask, DOUBLE
    )
    total += _load(filters, h_at + 3 * k_plane, mask, DOUBLE)
    if ACTIVATE:
        total = tl.where(total > 0, total, total * SLOPE)
    o_at = batch * o_batch + channel * o_channel + y * o_row + x * o_column
    tl.store(output + o_at, total.to(output.dtype.element_ty), mask=mask)


@triton.jit
def _row_gradient(
    gradient, output, g_at, o_at, mask, DOUBLE: tl.constexpr, SLOPE: tl.constexpr, ACTIVATE: tl.constexpr
):
    """Gradient before the activation; its sign is that of what came out of it."""
    value = _load(gradient, g_at, mask, DOUBLE)
    if ACTIVATE:
        value = tl.where(_load(output, o_at, mask, DOUBLE) > 0, value, value * SLOPE)
    return value


@triton.jit
def _column_gradient(
    gradient, output, filters, g_line, g_column, o_line, o_column, h_line, k_column, k_plane, x, W, mask,
    DOUBLE: tl.constexpr, SLOPE: tl.constexpr, ACTIVATE: tl.constexpr,
):  # fmt: skip
    """Gradient of one column value: from the pixel itself, from its two neighbours, and from borders replicated."""
    has_left, has_right = mask & (x > 0), mask & (x < W - 1)
    left, right = x - 1, x + 1
    own = _row_gradient(gradient, output, g_line + x * g_column, o_line + x * o_column, mask, DOUBLE, SLOPE, ACTIVATE)
    k_at = h_line + x * k_column
    total = own * _load(filters, k_at + k_plane, mask, DOUBLE)
    total += own * _load(filters, k_at, mask & (x == 0), DOUBLE)
    total += own * _load(filters, k_at + 2 * k_plane, mask & (x == W - 1), DOUBLE)
    from_right = _row_gradient(
        gradient, output, g_line + right * g_column, o_line + right * o_column, has_right, DOUBLE, SLOPE, ACTIVATE
    )
    total += from_right * _load(filters, h_line + right * k_column, has_right, DOUBLE)
    from_left = _row_gradient(
        gradient, output, g_line + left * g_column, o_line + left * o_column, has_left, DOUBLE, SLOPE, ACTIVATE
    )
    total += from_left * _load(filters, h_line + left * k_column + 2 * k_plane, has_left, DOUBLE)
    return total


@triton.jit
def _backward(
    gradient, features, filters, output, features_gradient, filters_gradient,
    g_batch, g_channel, g_row, g_column, f_batch, f_channel, f_row, f_column, k_batch, k_channel, k_row, k_column,
    o_batch, o_channel, o_row, o_column, df_batch, df_channel, df_row, df_column,
    dk_batch, dk_channel, dk_row, dk_column,
    C, H, W,
    TIED: tl.constexpr, CHANNELS_LAST: tl.constexpr, DOUBLE: tl.constexpr, SLOPE: tl.constexpr, BLOCK: tl.constexpr,
    ACTIVATE: tl.constexpr,
):  # fmt: skip
    batch, channel, y, x, mask = _place(C, H, W, CHANNELS_LAST, BLOCK)
    k_plane = C * k_channel
    g_at, o_at = batch * g_batch + channel * g_channel, batch * o_batch + channel * o_channel
    f_at = batch * f_batch + channel * f_channel
    k_base = batch * k_batch + channel * k_channel
    h_base = k_base if TIED else k_base + 3 * k_plane
    up, down = y - 1, y + 1
    above, below = tl.where(y > 0, up, 0), tl.where(y < H - 1, down, H - 1)
    has_above, has_below = mask & (y > 0), mask & (y < H - 1)

    # gradient of the features: each reaches the columns of three rows
    own = _column_gradient(
        gradient, output, filters, g_at + y * g_row, g_column, o_at + y * o_row, o_column, h_base + y * k_row, k_column,
        k_plane, x, W, mask, DOUBLE, SLOPE, ACTIVATE,
    )  # fmt: skip
    from_below = _column_gradient(
        gradient, output, filters, g_at + down * g_row, g_column, o_at + down * o_row, o_column, h_base + down * k_row,
        k_column, k_plane, x, W, has_below, DOUBLE, SLOPE, ACTIVATE,
    )  # fmt: skip
    from_above = _column_gradient(
        gradient, output, filters, g_at + up * g_row, g_column, o_at + up * o_row, o_column, h_base + up * k_row,
        k_column, k_plane, x, W, has_above, DOUBLE, SLOPE, ACTIVATE,
    )  # fmt: skip
    v_at = k_base + y * k_row + x * k_column
    total = own * _load(filters, v_at + k_plane, mask, DOUBLE)
    total += own * _load(filters, v_at, mask & (y == 0), DOUBLE)
    total += own * _load(filters, v_at + 2 * k_plane, mask & (y == H - 1), DOUBLE)
    total += from_below * _load(filters, k_base + down * k_row + x * k_column, has_below, DOUBLE)
    total += from_above * _load(filters, k_base + up * k_row + x * k_column + 2 * k_plane, has_above, DOUBLE)
    df_at = batch * df_batch + channel * df_channel + y * df_row + x * df_column
    tl.store(features_gradient + df_at, total.to(features_gradient.dtype.element_ty), mask=mask)

    # gradients of the filters: gradient of what they multiply into, times what they multiply
    kind = filters_gradient.dtype.element_ty
    row = _row_gradient(
        gradient, output, g_at + y * g_row + x * g_column, o_at + y * o_row + x * o_column, mask,
        DOUBLE, SLOPE, ACTIVATE,
    )  # fmt: skip
    f_line = f_at + x * f_column
    vertical_0 = own * _load(features, f_line + above * f_row, mask, DOUBLE)
    vertical_1 = own * _load(features, f_line + y * f_row, mask, DOUBLE)
    vertical_2 = own * _load(features, f_line + below * f_row, mask, DOUBLE)
    left = tl.where(x > 0, x - 1, 0)
    right = tl.where(x < W - 1, x + 1, W - 1)
    k_line = k_base + y * k_row
    horizontal_0 = row * _column(
        features, filters, f_row, f_at + left * f_column, k_line + left * k_column, k_plane, y, H, mask, DOUBLE
    )
    horizontal_1 = row * _column(features, filters, f_row, f_line, v_at, k_plane, y, H, mask, DOUBLE)
    horizontal_2 = row * _column(
        features, filters, f_row, f_at + right * f_column, k_line + right * k_column, k_plane, y, H, mask, DOUBLE
    )
    dk_plane = C * dk_channel
    dk_at = filters_gradient + batch * dk_batch + channel * dk_channel + y * dk_row + x * dk_column
    if TIED:
        tl.store(dk_at, (vertical_0 + horizontal_0).to(kind), mask=mask)
        tl.store(dk_at + dk_plane, (vertical_1 + horizontal_1).to(kind), mask=mask)
        tl.store(dk_at + 2 * dk_plane, (vertical_2 + horizontal_2).to(kind), mask=mask)
        tl.store(dk_at + 3 * dk_plane, row.to(kind), mask=mask)
    else:
        tl.store(dk_at, vertical_0.to(kind), mask=mask)
        tl.store(dk_at + dk_plane, vertical_1.to(kind), mask=mask)
        tl.store(dk_at + 2 * dk_plane, vertical_2.to(kind), mask=mask)
        tl.store(dk_at + 3 * dk_plane, horizontal_0.to(kind), mask=mask)
        tl.store(dk_at + 4 * dk_plane, horizontal_1.to(kind), mask=mask)
        tl.store(dk_at + 5 * dk_plane, horizontal_2.to(kind), mask=mask)
        tl.store(dk_at + 6 * dk_plane, row.to(kind), mask=mask)
