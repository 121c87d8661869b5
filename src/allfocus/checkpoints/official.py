"""The released IFAN checkpoints (`IFAN.pytorch`, `IFAN_8.pytorch`, `IFAN_dual.pytorch` ...): read strictly; written.

Such a file is a pickled state dict. Nothing in it is executed: only tensors and plain containers are allowed through.

Names there and here. The part before the table's entry is replaced, what follows stays (`.0.weight`, `.stem.1.2.bias`):

| released | ours |
|---|---|
| `conv{l}_{j}`, l = 1..4, j = 1..3 | `feature_extractor.levels.{l-1}.{j-1}` |
| `kconv{l}_{j}` | `filter_encoder.levels.{l-1}.{j-1}` |
| `DME.3`; other `DME` | `disparity_estimator.project`; `disparity_estimator.body` |
| `conv_DME` | `disparity_features` |
| `conv4_4` | `fuse` |
| `F.3`; other `F` | `filter_head.project`; `filter_head.body` |
| `conv_res` | `decoder.bottom` |
| `upconv{3-i}_u`, i = 0..2 | `decoder.up.{i}` |
| `upconv{3-i}_{j}`, j = 1, 2 | `decoder.refine.{i}.{j-1}` |
| `out_res` | `decoder.out` |
| `RBF.3`; other `RBF`, in the reblurring network | `project`; `body` |

In front of all stands an optional `module.`, then `Network.` (optional) or `reblurNet.`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from allfocus.atomic_file import AtomicFile
from allfocus.errors import OptionError, WeightsError
from allfocus.nets.ifan import IFAN
from allfocus.nets.reblur import ReblurringNetwork
from allfocus.nets.registry import Architecture
from allfocus.ops.adaptive_conv import FilterLayout

WRAPPER, DEBLURRING, REBLURRING = "module.", "Network.", "reblurNet."
RELEASED_WIDTH = 32
ROWS_PER_ITERATION = FilterLayout(4 * RELEASED_WIDTH, 1).total
REBLURRING_ROWS_PER_ITERATION = FilterLayout(3, 1).total
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
NAMED_AT_MOST = 3

_LEVELS = [
    (f"{theirs}{level + 1}_{step + 1}", f"{ours}.levels.{level}.{step}")
    for theirs, ours in (("conv", "feature_extractor"), ("kconv", "filter_encoder"))
    for level in range(4)
    for step in range(3)
]
_UPWARDS = [
    pair
    for i in range(3)
    for pair in (
        (f"upconv{3 - i}_u", f"decoder.up.{i}"),
        (f"upconv{3 - i}_1", f"decoder.refine.{i}.0"),
        (f"upconv{3 - i}_2", f"decoder.refine.{i}.1"),
    )
]
PARTS = [
    *_LEVELS,
    ("DME.3", "disparity_estimator.project"),
    ("DME", "disparity_estimator.body"),
    ("conv_DME", "disparity_features"),
    ("conv4_4", "fuse"),
    ("F.3", "filter_head.project"),
    ("F", "filter_head.body"),
    ("conv_res", "decoder.bottom"),
    *_UPWARDS,
    ("out_res", "decoder.out"),
]
REBLURRING_PARTS = [("RBF.3", "project"), ("RBF", "body")]


@dataclass(frozen=True)
class OfficialCheckpoint:
    """What a released file holds, in our names.

    Attributes:
        architecture: N and views as found; always tied, as all released weights were trained.
        tensors: name -> float32 tensor of the deblurring network.
        reblurring: the same of the reblurring network, or None where the file has none.
        reblurring_iterations: pairs of filters of the reblurring network, or 0.
        wrapped: whether the names began with ``module.``.
    """

    architecture: Architecture
    tensors: dict[str, torch.Tensor]
    reblurring: dict[str, torch.Tensor] | None
    reblurring_iterations: int
    wrapped: bool

    def build(self) -> IFAN:
        """The deblurring network with these weights."""
        net = self.architecture.build()
        net.load_state_dict(self.tensors)
        return net

    def build_reblurring(self) -> ReblurringNetwork | None:
        """The reblurring network with these weights, or None."""
        if self.reblurring is None:
            return None
        net = self.architecture.build_reblurring(self.reblurring_iterations)
        net.load_state_dict(self.reblurring)
        return net

    def describe(self) -> str:
        """One line for people: what was found."""
        views = "one view" if self.architecture.views == 1 else "two views (right and left)"
        iterations = f"a reblurring network of {self.reblurring_iterations} iterations"
        return (
            f"released IFAN, N={self.architecture.iterations}, {views}, tied filters, {len(self.tensors)} tensors, "
            f"{'no reblurring network' if self.reblurring is None else iterations}"
            f"{', saved from a parallel wrapper' if self.wrapped else ''}"
        )


def official_name(name: str, parts: list[tuple[str, str]] = PARTS) -> str:
    """Our name of a tensor -> the released one, without prefixes.

    Args:
        name: as in ``IFAN().state_dict()``.
        parts: `PARTS`, or `REBLURRING_PARTS` for a name of ``ReblurringNetwork(...).state_dict()``.

    Raises:
        KeyError: if the released network has no such part.

    Example:
        >>> official_name("decoder.refine.0.1.stem.0.2.bias")
        'upconv3_2.stem.0.2.bias'
    """
    return _renamed(name, ((ours, theirs) for theirs, ours in parts))


def readable_name(name: str, parts: list[tuple[str, str]] = PARTS) -> str:
    """The released name of a tensor, without prefixes -> ours: the inverse of `official_name`.

    Example:
        >>> readable_name("F.3.weight")
        'filter_head.project.weight'
    """
    return _renamed(name, parts)


def _renamed(name: str, parts: Iterable[tuple[str, str]]) -> str:
    for old, new in parts:
        if name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    raise KeyError(name)


def read(path: str | Path) -> OfficialCheckpoint:
    """Read a released checkpoint, whole and strictly, without executing anything in it.

    Args:
        path: a `.pytorch` file of `torch.save`, in its zip form or the older one.

    Raises:
        WeightsError: if the file is missing, damaged, asks to run code, or has a tensor too many, too few, of another
            shape, or with values that are not finite numbers; the message names it.
    """
    path = Path(path)
    entries = _unpickled(path)
    wrapped = all(name.startswith(WRAPPER) for name in entries)
    deblurring: dict[str, torch.Tensor] = {}
    reblurring: dict[str, torch.Tensor] = {}
    for full_name, tensor in entries.items():
        name = full_name.removeprefix(WRAPPER)
        group, name = (
            (reblurring, name.removeprefix(REBLURRING))
            if name.startswith(REBLURRING)
            else (deblurring, name.removeprefix(DEBLURRING))
        )
        if name in group:
            raise _refusal(path, f"holds the tensor {name} twice, with and without a prefix", "each tensor once")
        group[name] = tensor
    architecture = _architecture(path, deblurring)
    reblurring_iterations = _reblurring_iterations(path, reblurring) if reblurring else 0
    with torch.device("meta"):
        wanted = architecture.build()
        wanted_reblurring = architecture.build_reblurring(reblurring_iterations) if reblurring else None
    return OfficialCheckpoint(
        architecture,
        _matched(path, deblurring, wanted, PARTS),
        _matched(path, reblurring, wanted_reblurring, REBLURRING_PARTS) if wanted_reblurring else None,
        reblurring_iterations,
        wrapped,
    )


def write(net: IFAN, path: str | Path, *, reblurring: ReblurringNetwork | None = None, wrapped: bool = True) -> None:
    """Write a network as a released checkpoint, beside the place and then renamed.

    Args:
        net: tied, at full resolution, of width 32: what the released code can compute.
        path: the file; replaced if it exists.
        reblurring: added when given.
        wrapped: begin the names with ``module.``, as the released files do.

    Raises:
        OptionError: if the released code would compute something else with these weights.
        OutputError: if the place cannot be written.
    """
    path = Path(path)
    if type(net) is not IFAN or not net.tied or net.unshuffle != 1 or net.width != RELEASED_WIDTH:
        raise OptionError(
            f"a {type(net).__name__} with tied={net.tied}, unshuffle={net.unshuffle}, width={net.width}",
            f"an IFAN with tied=True, unshuffle=1, width={RELEASED_WIDTH}: the released code computes nothing else",
            "'--format onnx', or train 'ifan-tied'",
        )
    prefix = WRAPPER if wrapped else ""
    entries = {}
    for group, part, parts in ((DEBLURRING, net, PARTS), (REBLURRING, reblurring, REBLURRING_PARTS)):
        for name, tensor in ({} if part is None else part.state_dict()).items():
            entries[f"{prefix}{group}{official_name(name, parts)}"] = tensor.detach().cpu().float().contiguous()
    with AtomicFile(path, overwrite=True) as file:
        try:
            torch.save(entries, file.temporary)
        except RuntimeError as error:  # what torch makes of a full disk
            raise file.refusal(str(error)) from error


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise WeightsError(f"{path} is not a file", "a released IFAN checkpoint", "check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; the refusal below says what matters
            entries = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle can fail in any way at all; each means the same to us
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked:
            raise _refusal(path, f"asks to run {asked[1]}, which was not run", "tensors and nothing else") from error
        raise _refusal(path, f"is not a readable checkpoint ({type(error).__name__})", "a whole file") from error
    if not isinstance(entries, dict) or not entries:
        raise _refusal(path, f"holds a {type(entries).__name__}, not named tensors", "a state dict")
    for name, tensor in entries.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise _refusal(path, f"holds {name!r}, a {type(tensor).__name__}", "named tensors only, in no wrapper")
    return entries


def _architecture(path: Path, tensors: dict[str, torch.Tensor]) -> Architecture:
    head, first = _anchor(path, tensors, "F.3.weight"), _anchor(path, tensors, "kconv1_1.0.weight")
    if head.ndim != 4 or head.shape[0] == 0 or head.shape[0] % ROWS_PER_ITERATION:
        wanted = f"(K, {4 * RELEASED_WIDTH}, 1, 1) with K a multiple of {ROWS_PER_ITERATION}"
        raise _refusal(path, f"has F.3.weight of shape {tuple(head.shape)}", wanted)
    if first.ndim != 4 or first.shape[1] not in (3, 6):
        wanted = f"({RELEASED_WIDTH}, 3, 3, 3) for one view or ({RELEASED_WIDTH}, 6, 3, 3) for two"
        raise _refusal(path, f"has kconv1_1.0.weight of shape {tuple(first.shape)}", wanted)
    return Architecture(iterations=head.shape[0] // ROWS_PER_ITERATION, views=first.shape[1] // 3, tied=True)


def _reblurring_iterations(path: Path, tensors: dict[str, torch.Tensor]) -> int:
    head = _anchor(path, tensors, "RBF.3.weight")
    if head.ndim != 4 or head.shape[0] == 0 or head.shape[0] % REBLURRING_ROWS_PER_ITERATION:
        wanted = f"rows in a multiple of {REBLURRING_ROWS_PER_ITERATION}"
        raise _refusal(path, f"has {REBLURRING}RBF.3.weight of shape {tuple(head.shape)}", wanted)
    return head.shape[0] // REBLURRING_ROWS_PER_ITERATION


def _anchor(path: Path, tensors: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    if name not in tensors:
        raise _refusal(path, f"lacks the tensor {name}", "a whole released checkpoint")
    return tensors[name]


def _matched(
    path: Path, tensors: dict[str, torch.Tensor], wanted: nn.Module, parts: list[tuple[str, str]]
) -> dict[str, torch.Tensor]:
    shapes = {official_name(name, parts): tuple(tensor.shape) for name, tensor in wanted.state_dict().items()}
    missing = [name for name in shapes if name not in tensors]
    if missing:
        raise _refusal(path, f"lacks {_named(missing)}", f"{len(shapes)} tensors")
    extra = [name for name in tensors if name not in shapes]
    if extra:
        raise _refusal(path, f"holds {_named(extra)}, which IFAN does not have", f"{len(shapes)} tensors")
    matched = {}
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            raise _refusal(path, f"has {name} of shape {tuple(tensor.shape)}", f"{shape}")
        if tensor.dtype not in FLOATS or tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise _refusal(path, f"has {name} as {tensor.dtype} ({tensor.layout})", "dense floating-point numbers")
        if not torch.isfinite(tensor).all():
            raise _refusal(path, f"has a value in {name} that is not a finite number", "finite weights")
        matched[readable_name(name, parts)] = tensor.float().contiguous()
    return matched


def _named(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:NAMED_AT_MOST])
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return f"the tensor {shown}" if len(names) == 1 else f"the tensors {shown}{more}"


def _refusal(path: Path, got: str, expected: str) -> WeightsError:
    return WeightsError(f"{path} {got}", expected, "download or copy the released file again")
