"""The adaptive convolution's pass and its gradient in C++ for CPUs, compiled when it is first needed.

`native.cpp` is compiled for this processor by the C++ compiler that is found (the variable CXX, else c++, g++ or
clang++) into the user's cache, under a name that changes with the source, the compiler and the processor. Where that
fails, `obstacle` says why and the plain operations of `operator.py` do the same, slower.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from allfocus.atomic_file import AtomicFile
from allfocus.errors import OutputError
from allfocus.folders import cache_folder
from allfocus.ops.adaptive_conv.contract import NEGATIVE_SLOPE

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-pthread", "-march=native")
SWITCH = "ALLFOCUS_NATIVE"
"""Set to 0, nothing is compiled."""
COMPILE_SECONDS = 120
KERNELS = {
    (torch.float32, torch.bfloat16): "float32_bfloat16",
    (torch.float32, torch.float32): "float32_float32",
    (torch.float64, torch.float64): "float64_float64",
}
"""Types of picture and filters, and what their kernel is called."""


class _Shape(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "height", "width", "channels", "planes")),
        ("slope", ctypes.c_double),
        ("activate", ctypes.c_bool),
    )


def forward_pass(features: torch.Tensor, filters: torch.Tensor, activate: bool) -> torch.Tensor:
    """One iteration, channels last, in the features' dtype; see `operator.adaptive_pass`. Any memory format will do."""
    picture, planes, kernel = _prepared(features, filters)
    output = torch.empty_like(picture)
    getattr(library(), f"forward_{kernel}")(
        *_addresses(picture, planes, output), _shape(features, filters, activate), _threads()
    )
    return output.to(features.dtype)


def backward_pass(
    gradient: torch.Tensor, features: torch.Tensor, filters: torch.Tensor, output: torch.Tensor, activate: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of one iteration with respect to features and filters, channels last.

    Args:
        gradient: of the output, (B, C, H, W).
        features, filters, activate: as they were given to `forward_pass`.
        output: what it gave.
    """
    picture, planes, kernel = _prepared(features, filters)
    given, made = (_channels_last(one.to(picture.dtype)) for one in (gradient, output))
    to_picture, to_planes = torch.empty_like(picture), torch.empty_like(planes)
    getattr(library(), f"backward_{kernel}")(
        *_addresses(given, picture, planes, made, to_picture, to_planes),
        _shape(features, filters, activate),
        _threads(),
    )
    return to_picture.to(features.dtype), to_planes.to(filters.dtype)


@torch.compiler.assume_constant_result
def obstacle() -> str | None:
    """Why the kernels cannot be used here, or None; compiles them at the first call."""
    if os.environ.get(SWITCH) == "0":
        return f"the variable {SWITCH} is 0"
    try:
        library()
    except (OSError, OutputError, subprocess.SubprocessError) as error:
        return " ".join(str(error).split())
    return None


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled kernels.

    Raises:
        OSError: no compiler, no folder to write to, or a file that cannot be loaded.
        subprocess.SubprocessError: the compiler failed.
    """
    compiler = _compiler()
    if compiler is None:
        raise FileNotFoundError("no C++ compiler (CXX, c++, g++, clang++) is installed")
    known = "\n".join((SOURCE.read_text(encoding="utf-8"), compiler, *FLAGS, platform.machine(), _processor()))
    path = cache_folder() / "native" / f"adaptive_conv-{hashlib.sha256(known.encode()).hexdigest()[:16]}.so"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as beside:
            built = Path(beside) / path.name
            subprocess.run(
                [compiler, *FLAGS, str(SOURCE), "-o", str(built)],
                check=True,
                capture_output=True,
                timeout=COMPILE_SECONDS,
            )
            AtomicFile(path, overwrite=True).take(built)
    return ctypes.CDLL(str(path))


def _prepared(features: torch.Tensor, filters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Channels last, in types that there is a kernel for: half precisions are summed in float32."""
    wide = torch.float64 if torch.float64 in (features.dtype, filters.dtype) else torch.float32
    if (wide, filters.dtype) not in KERNELS:
        filters = filters.to(wide)
    return _channels_last(features.to(wide)), _channels_last(filters), KERNELS[wide, filters.dtype]


def _channels_last(picture: torch.Tensor) -> torch.Tensor:
    return picture.contiguous(memory_format=torch.channels_last)


def _addresses(*tensors: torch.Tensor) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(one.data_ptr()) for one in tensors]


def _shape(features: torch.Tensor, filters: torch.Tensor, activate: bool) -> ctypes.c_void_p:
    batch, channels, height, width = features.shape
    return ctypes.byref(  # type: ignore[return-value]
        _Shape(batch, height, width, channels, filters.shape[1] // channels, NEGATIVE_SLOPE, activate)
    )


def _threads() -> ctypes.c_int64:
    return ctypes.c_int64(torch.get_num_threads())


def _compiler() -> str | None:
    names = (os.environ.get("CXX"), "c++", "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _processor() -> str:
    """What -march=native depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor()
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), platform.processor())
