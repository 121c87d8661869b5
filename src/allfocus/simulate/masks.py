"""Outlines of cut-out objects, drawn with antialiased edges about one pixel wide."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

OUTLINES = ("blob", "bars", "foliage", "card")


def pixel_grid(size_px: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns of a square canvas, measured in px from its middle: float32 (size, 1) and (1, size)."""
    axis = torch.arange(size_px, dtype=torch.float32, device=device) - (size_px - 1) / 2.0
    return axis[:, None], axis[None, :]


def outline(
    rng: np.random.Generator, kind: str, size_px: int, reach_px: float, device: torch.device
) -> tuple[Tensor, float]:
    """Draw one outline whose middle lies within `reach_px` of the canvas middle.

    Args:
        rng: draws place, size and shape.
        kind: one of `OUTLINES`.
        size_px: side of the canvas.
        reach_px: half the side of the square in which the middle is placed; sizes scale with it.
        device: where the result lives.

    Returns:
        Coverage float32 (size, size) in [0, 1], and the row (px from the canvas middle) of the outline's middle.
    """
    row_px, column_px = (float(value) for value in rng.uniform(-reach_px, reach_px, 2))
    rows, columns = pixel_grid(size_px, device)
    rows, columns = rows - row_px, columns - column_px
    if kind == "blob":
        signed_px = _blob(rng, rows, columns, reach_px)
    elif kind == "bars":
        signed_px = _bars(rng, rows, columns, reach_px)
    elif kind == "foliage":
        signed_px = _foliage(rng, size_px, device)
    else:
        signed_px = _card(rng, rows, columns, reach_px)
    return (signed_px + 0.5).clamp_(0.0, 1.0), row_px


def fractal(rng: np.random.Generator, size_px: int, device: torch.device, *, cells: int, octaves: int) -> Tensor:
    """Smooth noise, each octave twice as fine and half as strong: float32 (size, size), mean 0, deviation 1."""
    total = torch.zeros(size_px, size_px, device=device)
    for octave in range(octaves):
        count = min(cells * 2**octave + 1, size_px)
        grid = torch.from_numpy(rng.standard_normal((1, 1, count, count), dtype=np.float32)).to(device)
        finer = functional.interpolate(grid, size=(size_px, size_px), mode="bicubic", align_corners=True)[0, 0]
        total += finer * 0.5**octave
    return (total - total.mean()) / total.std().clamp_min(1e-6)


def segment(rng: np.random.Generator, rgb: Tensor) -> Tensor:
    """Cut out a part of a photo (3, H, W) along its own edges: clusters of colour and place.

    Gives its coverage, float32 (H, W) in [0, 1], of 8 to 60 % of the picture where the clusters allow.
    """
    _, height, width = rgb.shape
    rows = torch.linspace(-1.0, 1.0, height, device=rgb.device)[:, None].expand(height, width)
    columns = torch.linspace(-1.0, 1.0, width, device=rgb.device)[None, :].expand(height, width)
    smooth = functional.avg_pool2d(rgb[None], 5, stride=1, padding=2, count_include_pad=False)[0]
    features = torch.cat([smooth * 2.0, 0.7 * torch.stack([rows, columns])])
    coarse = features[:, ::8, ::8].reshape(5, -1).T
    count = int(rng.integers(4, 9))
    centres = coarse[torch.from_numpy(rng.permutation(len(coarse))[:count]).to(rgb.device)]
    for _ in range(6):
        member = functional.one_hot(torch.cdist(coarse, centres).argmin(dim=1), count).float()
        sums = member.sum(dim=0)[:, None]
        centres = torch.where(sums > 0, member.T @ coarse / sums.clamp_min(1.0), centres)
    distance = (centres**2).sum(dim=1)[:, None] - 2.0 * centres @ features.reshape(5, -1)
    member = functional.one_hot(torch.cdist(coarse, centres).argmin(dim=1), count).float()
    share = member.mean(dim=0).tolist()
    chosen: list[int] = []
    for cluster in rng.permutation(count).tolist():
        if sum(share[c] for c in chosen) < 0.08 or rng.random() < 0.25:
            chosen.append(cluster)
        if sum(share[c] for c in chosen) > 0.5 or len(chosen) == count - 1:
            break
    others = [cluster for cluster in range(count) if cluster not in chosen]
    hard = (distance[chosen].amin(dim=0) < distance[others].amin(dim=0)).float().reshape(1, 1, height, width)
    wide = functional.avg_pool2d(hard, 5, stride=1, padding=2, count_include_pad=False)
    return softened(wide[0, 0] > 0.5)


def softened(part: Tensor) -> Tensor:
    """Coverage of a bool (H, W) part with an edge about one pixel wide: float32 (H, W) in [0, 1]."""
    mean = functional.avg_pool2d(part.float()[None, None], 3, stride=1, padding=1, count_include_pad=False)
    return ((mean[0, 0] - 0.5) * 1.5 + 0.5).clamp_(0.0, 1.0)


def _blob(rng: np.random.Generator, rows: Tensor, columns: Tensor, reach_px: float) -> Tensor:
    radius_px = reach_px * float(rng.uniform(0.3, 1.0))
    stretch = float(np.exp(rng.normal(0.0, 0.3)))
    distance_px = torch.sqrt((rows * stretch) ** 2 + (columns / stretch) ** 2)
    angle = torch.atan2(rows, columns.expand(rows.shape[0], -1))
    edge = torch.ones_like(angle)
    for harmonic in range(2, 7):
        edge += float(rng.normal(0.0, 0.3 / harmonic)) * torch.cos(
            harmonic * angle + float(rng.uniform(0, 2 * math.pi))
        )
    return radius_px * edge.clamp_min(0.15) - distance_px


def _bars(rng: np.random.Generator, rows: Tensor, columns: Tensor, reach_px: float) -> Tensor:
    signed_px = torch.full_like(rows + columns, -1e3)
    slant = float(rng.uniform(0.0, math.pi))
    for _ in range(int(rng.integers(1, 6))):
        angle = slant + float(rng.normal(0.0, 0.25))
        half_px = float(np.exp(rng.uniform(math.log(1.0), math.log(10.0))))
        offset_px = float(rng.uniform(-reach_px, reach_px))
        bend = float(rng.normal(0.0, 0.2)) / reach_px
        across = rows * math.cos(angle) - columns * math.sin(angle) - offset_px
        along = rows * math.sin(angle) + columns * math.cos(angle)
        signed_px = torch.maximum(signed_px, half_px - (across - bend * along**2 * 0.5).abs())
    return signed_px


def _foliage(rng: np.random.Generator, size_px: int, device: torch.device) -> Tensor:
    noise = fractal(rng, size_px, device, cells=int(rng.integers(3, 9)), octaves=int(rng.integers(3, 6)))
    noise = noise - float(rng.uniform(-0.2, 1.0))
    down, right = torch.gradient(noise)
    slope = torch.sqrt(down**2 + right**2)
    return noise / slope.clamp_min(float(slope.mean()) * 0.3)


def _card(rng: np.random.Generator, rows: Tensor, columns: Tensor, reach_px: float) -> Tensor:
    angle = float(rng.normal(0.0, 0.35))
    half_height, half_width = (reach_px * float(value) for value in rng.uniform(0.2, 0.9, 2))
    down = (rows * math.cos(angle) - columns * math.sin(angle)).abs() - half_height
    right = (rows * math.sin(angle) + columns * math.cos(angle)).abs() - half_width
    return -torch.maximum(down, right)
