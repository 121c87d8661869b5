"""Printed matter as texture: text in many sizes, stripes and checks, at any angle; the same on every machine.

Photos in small tiles hold little text, and text is what people look at first.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

from allfocus.simulate.glyphs import COLUMNS, DESCENT, ROWS, dots
from allfocus.simulate.masks import fractal, pixel_grid

KINDS = ("text", "stripes", "checks")
_KIND_WEIGHTS = (0.8, 0.12, 0.08)
_PHOTO_AS_PAPER = 0.35
_SIGNS = " eeeeettttaaaaooooiiinnnssshhrrddllluucmmwfgypbvkxjqzEATOINSHRDLCUMFPGWYBVKXJQZ0123456789.,:-/+="
_WORD_LENGTH = 5.5
_LEAST_CONTRAST = 0.35
_FINE = 8
"""Samples of the distance to a letter's strokes for each dot of its grid."""


def draw_print(rng: np.random.Generator, photo: Tensor) -> tuple[Tensor, str]:
    """Print on plain paper or on a photo.

    Args:
        rng: draws kind, layout and colours.
        photo: float32 (3, N, N) in [0, 1], display-referred; the paper of some prints.

    Returns:
        float32 (3, N, N) in [0, 1], display-referred, and the kind, one of `KINDS`.
    """
    size_px, device = photo.shape[-1], photo.device
    kind = str(rng.choice(KINDS, p=_KIND_WEIGHTS))
    plain = bool(rng.random() >= _PHOTO_AS_PAPER)
    tone = rng.uniform(0.02, 0.3) if rng.random() < 0.35 else rng.uniform(0.6, 0.97)
    paper = torch.from_numpy(np.clip(tone + rng.normal(0.0, 0.06, 3), 0.0, 1.0).astype(np.float32)).to(device)
    shade = 1.0 + float(rng.uniform(0.0, 0.12)) * fractal(rng, size_px, device, cells=2, octaves=2)
    base = (paper[:, None, None] * shade).clamp_(0.0, 1.0) if plain else photo
    ink = _ink(rng, float(base.mean())).to(device)[:, None, None]
    angle = float(rng.normal(0.0, 0.12)) if rng.random() < 0.6 else float(rng.uniform(0.0, 2.0 * math.pi))
    rows, columns = pixel_grid(size_px, torch.device("cpu"))
    across = (columns * math.cos(angle) + rows * math.sin(angle)).numpy()
    down = (rows * math.cos(angle) - columns * math.sin(angle)).numpy()
    if kind == "text":
        covered = _text(rng, across, down, size_px)
    else:
        covered = _pattern(rng, across, down, checks=kind == "checks")
    mask = torch.from_numpy(covered).to(device)
    return base + mask * (ink - base), kind


def _ink(rng: np.random.Generator, tone: float) -> Tensor:
    """A colour that stands out against a paper of this mean: float32 (3,)."""
    darker, brighter = tone - _LEAST_CONTRAST, tone + _LEAST_CONTRAST
    dark = darker > 0.0 and (brighter > 1.0 or rng.random() < 0.5)
    level = rng.uniform(0.0, darker) if dark else rng.uniform(min(brighter, 0.95), 1.0)
    return torch.from_numpy(np.clip(level + rng.normal(0.0, 0.08, 3), 0.0, 1.0).astype(np.float32))


def _text(rng: np.random.Generator, across: np.ndarray, down: np.ndarray, size_px: int) -> np.ndarray:
    """Coverage of lines of text that fill the canvas: float32 (N, N)."""
    reach_px = 0.75 * size_px
    body_px = math.exp(rng.uniform(math.log(0.7), math.log(4.0)))
    leading, tracking, narrow = rng.uniform(1.3, 1.9), rng.uniform(0.0, 1.0), rng.uniform(0.7, 1.1)
    half_width, slant = rng.uniform(0.3, 0.7), float(rng.choice([0.0, 0.0, 0.2]))
    tops, dot_px = [], []
    top = -reach_px
    while top < reach_px:
        heading = rng.random() < 0.12
        dot_px.append(body_px * (rng.uniform(1.5, 3.0) if heading else 1.0))
        tops.append(top)
        top += (ROWS + DESCENT) * dot_px[-1] * leading
    advance = COLUMNS + 1 + tracking
    places = math.ceil(2.0 * reach_px / (advance * body_px * narrow)) + 1
    signs = rng.integers(1, len(_SIGNS), (len(tops), places))
    signs[rng.random(signs.shape) < 1.0 / _WORD_LENGTH] = 0
    row = np.searchsorted(np.array(tops), down, side="right").clip(1) - 1
    scale_px = np.array(dot_px)[row]
    v = (down - np.array(tops)[row]) / scale_px
    u = (across + reach_px) / (scale_px * narrow) + slant * (v - ROWS)
    place = (u / advance).astype(np.int64).clip(0, places - 1)
    distance = _distance(signs[row, place], u - place * advance, v)
    return ((half_width - distance) * scale_px + 0.5).clip(0.0, 1.0).astype(np.float32)


def _pattern(rng: np.random.Generator, across: np.ndarray, down: np.ndarray, *, checks: bool) -> np.ndarray:
    """Coverage of stripes, or of checks: float32 (N, N)."""
    period_px = math.exp(rng.uniform(math.log(4.0), math.log(60.0)))
    share = rng.uniform(0.3, 0.7)
    stripes = [
        ((share / 2.0 - np.abs((axis / period_px + phase) % 1.0 - 0.5)) * period_px + 0.5).clip(0.0, 1.0)
        for axis, phase in zip((across, down), rng.random(2), strict=True)
    ]
    first, second = stripes
    covered = first * second + (1.0 - first) * (1.0 - second) if checks else first
    return covered.astype(np.float32)


def _distance(sign: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Distance in dots to the strokes of numbered signs, at places measured in dots from the sign's upper left."""
    table = _distances()
    rows, columns = table.shape[1:]
    y = (v * _FINE - 0.5).clip(0.0, rows - 1.001)
    x = (u * _FINE - 0.5).clip(0.0, columns - 1.001)
    top, left = y.astype(np.int64), x.astype(np.int64)
    below, beside = y - top, x - left
    upper = table[sign, top, left] * (1.0 - beside) + table[sign, top, left + 1] * beside
    lower = table[sign, top + 1, left] * (1.0 - beside) + table[sign, top + 1, left + 1] * beside
    return upper * (1.0 - below) + lower * below


@lru_cache(maxsize=1)
def _distances() -> np.ndarray:
    """Distance in dots to the strokes of each of `_SIGNS` over its cell: float32 (signs, rows, columns)."""
    # One dot of room around the outermost dots: more than half of any stroke's width.
    rows = (np.arange((ROWS + DESCENT + 1) * _FINE) + 0.5)[:, None] / _FINE - 1.0
    columns = (np.arange((COLUMNS + 1) * _FINE) + 0.5)[None, :] / _FINE - 1.0
    table = np.full((len(_SIGNS), rows.shape[0], columns.shape[1]), 9.0, np.float32)
    for plane, sign in zip(table, _SIGNS, strict=True):
        for (row, column), (down, right) in _strokes(dots(sign)):
            along = ((rows - row) * down + (columns - column) * right) / max(down**2 + right**2, 1)
            part = along.clip(0.0, 1.0)
            np.minimum(plane, np.hypot(rows - row - part * down, columns - column - part * right), out=plane)
    return table


def _strokes(lit: np.ndarray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Lines that join neighbouring dots, as a start and a step; diagonals only where no corner joins them."""
    padded = np.pad(lit, 1)
    strokes = []
    for row, column in product(range(lit.shape[0]), range(lit.shape[1])):
        if not lit[row, column]:
            continue
        y, x = row + 1, column + 1
        steps = [(0, 0)]
        steps += [(0, 1)] if padded[y, x + 1] else []
        steps += [(1, 0)] if padded[y + 1, x] else []
        steps += [(1, 1)] if padded[y + 1, x + 1] and not (padded[y, x + 1] or padded[y + 1, x]) else []
        steps += [(1, -1)] if padded[y + 1, x - 1] and not (padded[y, x - 1] or padded[y + 1, x]) else []
        strokes += [((row, column), step) for step in steps]
    return strokes
