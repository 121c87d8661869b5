"""Inverse depth of a scene: invented reliefs, or maps that a user provides for each photo."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyvips
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.errors import DataError, OptionError
from allfocus.simulate.masks import fractal, pixel_grid


def relief(
    rng: np.random.Generator, kind: str, size_px: int, span_px: float, change: float, device: torch.device
) -> Tensor:
    """Draw inverse depth relative to the middle of a surface; a plane in space is affine in it.

    Args:
        rng: draws the direction or the bumps.
        kind: "flat"; "ground", nearer towards the lower border; "slanted", nearer in a random direction; or "rolling",
            smooth bumps.
        size_px: side of the canvas.
        span_px: distance over which the map changes by `change`.
        change: how much inverse depth changes.
        device: where the result lives.

    Returns:
        float32 (size, size), 0 in the middle (mean 0 for bumps).
    """
    if kind == "flat":
        return torch.zeros(size_px, size_px, device=device)
    if kind == "rolling":
        return fractal(rng, size_px, device, cells=2, octaves=2).clamp_(-2.0, 2.0) * (change / 4.0)
    angle = float(rng.normal(0.0, 0.15)) if kind == "ground" else float(rng.uniform(0.0, 2.0 * math.pi))
    rows, columns = pixel_grid(size_px, device)
    return (rows * math.cos(angle) + columns * math.sin(angle)) * (change / span_px)


def bumps(rng: np.random.Generator, size_px: int, device: torch.device) -> Tensor:
    """Draw the inverse depth of a rough surface: bumps of 5 to 40 px and finer ones, (size, size), deviation 1."""
    cells = round(size_px / math.exp(rng.uniform(math.log(5.0), math.log(40.0))))
    return fractal(rng, size_px, device, cells=cells, octaves=2).clamp_(-2.0, 2.0)


def by_light(display: Tensor) -> Tensor:
    """The inverse depth of a rough surface whose gaps are dark, from its picture (3, size, size): deviation 1."""
    grey = display.mean(dim=0)
    grey = functional.avg_pool2d(grey[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    around = functional.avg_pool2d(grey[None, None], 63, stride=1, padding=31, count_include_pad=False)[0, 0]
    above = grey - around
    return (above / above.std().clamp_min(1e-3)).clamp_(-2.0, 2.0)


MAP_KINDS = ("depth", "disparity")
MAP_SUFFIXES = (".npy", ".pfm", ".png", ".tif", ".tiff")
_ASPECT_TOLERANCE = 0.02


class DepthMaps:
    """Maps by the names of their photos.

    Args:
        source: a folder (searched with its sub-folders) with NAME.npy, .pfm, .png or .tif for each photo NAME.*, one
            channel; or arrays (h, w) by the photo's name. A map may have another size than its photo, not another
            shape.
        kind: "depth" is distance in any unit, larger is farther; "disparity" is inverse distance, larger is nearer,
            in any unit and with any offset.

    In a depth map zero, negative and non-finite values are unknown; in a disparity map non-finite ones and, where
    nothing is negative, zero. Unknown places take their nearest known neighbour's value in the row, then the column.

    Raises:
        OptionError: an unknown kind. DataError: no such folder, or no map in it.
    """

    def __init__(self, source: str | Path | Mapping[str, np.ndarray], kind: str = "depth") -> None:
        if kind not in MAP_KINDS:
            raise OptionError(f"depth kind {kind!r}", f"one of {', '.join(MAP_KINDS)}", "'depth'")
        self.kind = kind
        self._maps: dict[str, Path | np.ndarray] = {}
        if isinstance(source, Mapping):
            self._maps = {Path(name).stem: values for name, values in source.items()}
            return
        folder = Path(source)
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder", "a folder of depth maps", "check the path")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in MAP_SUFFIXES:
                self._maps.setdefault(path.stem, path)
        if not self._maps:
            raise DataError(f"no map in {folder}", f"files ending in {', '.join(MAP_SUFFIXES)}", "another folder")

    def __contains__(self, name: str) -> bool:
        return Path(name).stem in self._maps

    def stamp(self) -> list[tuple[str, int]]:
        """Name and size in bytes of every map that is a file."""
        return [(path.name, path.stat().st_size) for path in self._maps.values() if isinstance(path, Path)]

    def unusable(self, name: str, height: int, width: int) -> str:
        """Why a photo of this name and size cannot be used with these maps; empty when it can."""
        stem = Path(name).stem
        if name not in self:
            return "no depth map of its name"
        try:
            values = _read(self._maps[stem])
        except DataError as error:
            return f"its depth map {error.got}"
        rows, columns = values.shape
        if abs((columns / rows) / (width / height) - 1.0) > _ASPECT_TOLERANCE:
            return f"its depth map is {columns} x {rows} px, another shape than the photo's {width} x {height}"
        if not self._known(values).any():
            return "its depth map holds no known value"
        return ""

    def nearness(self, name: str, height: int, width: int) -> np.ndarray:
        """Inverse depth at the photo's own pixels: 0 at the 1st percentile of known values (far), 1 at the 99th."""
        return _resized(self._whole(Path(name).stem), height, width)

    @lru_cache(maxsize=32)  # noqa: B019 - one pool of maps lives as long as its process
    def _whole(self, stem: str) -> np.ndarray:
        values = _read(self._maps[stem])
        known = self._known(values)
        near = np.where(known, values, 1.0).astype(np.float64)
        near = 1.0 / near if self.kind == "depth" else near
        low, high = np.quantile(near[known], [0.01, 0.99])
        near = np.clip((near - low) / max(high - low, 1e-12), -0.25, 1.25)
        return _completed(near, known).astype(np.float32)

    def _known(self, values: np.ndarray) -> np.ndarray:
        known = np.isfinite(values)
        if self.kind == "depth" or not (values[known] < 0.0).any():
            known &= np.where(known, values, 0.0) > 0.0
        return known


def _read(source: Path | np.ndarray) -> np.ndarray:
    if isinstance(source, np.ndarray):
        return source.astype(np.float32, copy=False)
    try:
        if source.suffix.lower() == ".npy":
            values = np.load(source, allow_pickle=False)
        elif source.suffix.lower() == ".pfm":
            values = _read_pfm(source)
        else:
            values = np.asarray(pyvips.Image.new_from_file(str(source), fail_on="truncated").numpy())
    except (OSError, ValueError, EOFError, pyvips.Error) as error:
        raise DataError(f"{source.name} cannot be read", "a complete file", "write it again") from error
    if values.ndim == 3 and (values[..., :1] == values[..., :3]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise DataError(f"{source.name} has shape {values.shape}", "one channel", "plain values, not false colours")
    return values.astype(np.float32)


def _read_pfm(path: Path) -> np.ndarray:
    """A portable float map of one channel: "Pf", width and height, scale whose sign is the byte order; rows upwards."""
    head, size, scale, data = path.read_bytes().split(b"\n", 3)
    if head.strip() != b"Pf":
        raise ValueError("not a grey float map")
    width, height = (int(number) for number in size.split())
    values = np.frombuffer(data, "<f4" if float(scale) < 0.0 else ">f4", width * height)
    return values.reshape(height, width)[::-1]


def _completed(near: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give unknown places the value of the nearest known one in their row; rows without any, the nearest row."""
    columns = np.arange(near.shape[1])
    result = near.copy()
    rows_known = known.any(axis=1)
    for row in np.flatnonzero(rows_known & ~known.all(axis=1)):
        at = columns[known[row]]
        after = np.searchsorted(at, columns).clip(0, len(at) - 1)
        before = (after - 1).clip(0)
        nearest = np.where(np.abs(at[before] - columns) <= np.abs(at[after] - columns), at[before], at[after])
        result[row] = near[row, nearest]
    at = np.flatnonzero(rows_known)
    for row in np.flatnonzero(~rows_known):
        result[row] = result[at[np.abs(at - row).argmin()]]
    return result


def _resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Take the nearest value: depth must not be mixed across edges."""
    rows = ((np.arange(height) + 0.5) * values.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * values.shape[1] / width).astype(int)
    return np.ascontiguousarray(values[rows][:, columns])
