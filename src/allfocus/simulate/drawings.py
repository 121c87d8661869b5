"""Drawn content, the same on every machine: letters, printed matter as texture, and test charts.

Photos in small tiles hold little text, and text is what people look at first: scenes print some surfaces
(`draw_print`). Charts and noise stand in for photos in tests and in SynDP.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product

import numpy as np
import torch
from torch import Tensor

from allfocus.simulate.masks import fractal, pixel_grid

ROWS, COLUMNS = 7, 5
DESCENT = 2

# Each glyph is its sign and then seven rows of five dots (nine with what hangs below the line), each row as a digit of
# base 32 whose highest bit is the left dot.
_GLYPHS = """
Aehhvhhh Buhhuhhu Cehggghe Duhhhhhu Evgguggv Fvgguggg Gehgnhhf Hhhhvhhh Ie44444e J72222ic Khikokih Lggggggv
Mhrllhhh Nhplljhh Oehhhhhe Puhhuggg Qehhhlid Ruhhukih Sfgge11u Tv444444 Uhhhhhhe Vhhhhha4 Whhhllrh Xhha4ahh
Yhha4444 Zv1248gv 0ehjlphe 14c4444e 2eh168gv 3eh161he 426aiv22 5vgu11he 6eguhhhe 7v124488 8ehhehhe 9ehhf11e
.00000cc ,0000c48 -000e000 +044v440 :0cc0cc0 /11248gg =00v0v00 a00e1fhf bggmphhu c00egghe d11djhhf e00ehvge
f698s888 g00fhhhf1e hggmphhh i40c444e j2062222ic kggikoki lc44444e m00qllhh n00mphhh o00ehhhe p00uhhhugg
q00fhhhf11 r00mpggg s00fge1u t88s8896 u00hhhjd v00hhha4 w00hhlla x00ha4ah y00hhhhf1e z00v248v
"""
_ROWS_OF = {" ": (0,) * ROWS} | {glyph[0]: tuple(int(row, 32) for row in glyph[1:]) for glyph in _GLYPHS.split()}


def dots(sign: str) -> np.ndarray:
    """The dots of one sign: bool (9, 5), the last two rows below the line; unknown signs are empty."""
    rows = [*_ROWS_OF.get(sign, ()), *[0] * (ROWS + DESCENT)][: ROWS + DESCENT]
    return np.array([[row >> (COLUMNS - 1 - column) & 1 for column in range(COLUMNS)] for row in rows], bool)


def line(text: str, scale: int = 1) -> np.ndarray:
    """Write one line in capitals: float32 (7 * scale, 6 * scale * len(text)), 1 where ink is; unknown signs: empty."""
    ink = np.zeros((ROWS, (COLUMNS + 1) * len(text)), np.float32)
    for place, sign in enumerate(text.upper()):
        ink[:, (COLUMNS + 1) * place :][:, :COLUMNS] = dots(sign)[:ROWS]
    return np.kron(ink, np.ones((scale, scale), np.float32))


KINDS = ("text", "stripes", "checks")
_KIND_WEIGHTS = (0.8, 0.12, 0.08)
_PHOTO_AS_PAPER = 0.35
_SIGNS = " eeeeettttaaaaooooiiinnnssshhrrddllluucmmwfgypbvkxjqzEATOINSHRDLCUMFPGWYBVKXJQZ0123456789.,:-/+="
_WORD_LENGTH = 5.5
_LEAST_CONTRAST = 0.35
_FINE = 8
"""Samples of the distance to a letter's strokes for each dot of its grid."""


def draw_print(rng: np.random.Generator, photo: Tensor) -> tuple[Tensor, str]:
    """Print on plain paper or on a photo (3, N, N) in [0, 1]: float32 of this shape, and the kind, one of `KINDS`."""
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


_FINE_PX = 4
_WORDS = (
    *("SHARP", "BLUR", "FOCUS", "LENS", "IRIS", "PHOTO", "DEPTH", "FIELD", "LIGHT", "EDGE", "PIXEL", "LEFT", "RIGHT"),
    *("NEAR", "FAR", "STOP", "GLASS", "DISC", "SCENE", "VIEW", "0123", "4567", "89.0", "F/1.8", "F/4", "F/22", "35 MM"),
)


def text_chart(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Columns of words in several sizes and colours on coloured panels: uint8 (size, size, 3)."""
    picture = np.empty((size_px, size_px, 3), np.float64)
    panel = size_px // 2
    for top in (0, panel):
        for left in (0, panel):
            dark = bool(rng.random() < 0.4)
            paper = rng.uniform(0.02, 0.25, 3) if dark else rng.uniform(0.7, 0.98, 3)
            picture[top : top + panel, left : left + panel] = paper
            _fill_with_words(rng, picture[top : top + panel, left : left + panel], dark)
    return _rounded(picture)


def edge_chart(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Slanted squares of two tones each, for edge profiles: uint8 (size, size, 3)."""
    fine = size_px * _FINE_PX
    axis = (np.arange(fine) + 0.5) / _FINE_PX
    rows, columns = axis[:, None], axis[None, :]
    picture = np.broadcast_to(rng.uniform(0.35, 0.6, 3), (fine, fine, 3)).copy()
    cells = 4
    side = size_px / cells
    for row in range(cells):
        for column in range(cells):
            place = tuple(slice(round(at * side * _FINE_PX), round((at + 1) * side * _FINE_PX)) for at in (row, column))
            angle = np.radians(float(rng.uniform(3.0, 40.0)))
            down, across = rows[place[0]] - (row + 0.5) * side, columns[:, place[1]] - (column + 0.5) * side
            turned = np.abs(across * np.cos(angle) + down * np.sin(angle))
            other = np.abs(down * np.cos(angle) - across * np.sin(angle))
            inside = np.maximum(turned, other) < 0.33 * side
            picture[place][inside] = rng.uniform(0.02, 0.2, 3) if rng.random() < 0.5 else rng.uniform(0.8, 1.0, 3)
    return _rounded(_reduced(picture))


def grating_chart(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Star targets and line gratings from coarse to fine: uint8 (size, size, 3)."""
    fine = size_px * _FINE_PX
    axis = (np.arange(fine) + 0.5) / _FINE_PX
    rows, columns = axis[:, None], axis[None, :]
    tone = np.empty((fine, fine))
    half = size_px / 2
    for top in (0.0, half):
        for left in (0.0, half):
            place = (slice(int(top) * 4, int(top + half) * 4), slice(int(left) * 4, int(left + half) * 4))
            down, across = rows[place[0]] - top - half / 2, columns[:, place[1]] - left - half / 2
            if (top == 0.0) == (left == 0.0):
                spokes = int(rng.integers(18, 40))
                tone[place] = np.sin(spokes * np.arctan2(down, across)) > 0.0
            else:
                period_px = 3.0 * 2.0 ** (np.floor((down + half / 2) / (half / 5)))
                angle = float(rng.uniform(-0.2, 0.2))
                tone[place] = (((across * np.cos(angle) + down * np.sin(angle)) / period_px) % 1.0) < 0.5
    dark, bright = rng.uniform(0.02, 0.15, 3), rng.uniform(0.75, 0.98, 3)
    return _rounded(_reduced(dark + tone[..., None] * (bright - dark)))


def natural_noise(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Noise with the 1/f spectrum of photos: float32 (size, size, 3) in [0, 1]; its borders fit together."""
    frequency = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((3, size_px, size_px))) / frequency
    picture = np.fft.irfft2(spectrum, s=(size_px, size_px)).transpose(1, 2, 0)
    picture = (picture - picture.mean()) / picture.std() * 0.18 + 0.45
    return np.ascontiguousarray(np.clip(picture, 0.0, 1.0), np.float32)


def _fill_with_words(rng: np.random.Generator, panel: np.ndarray, dark: bool) -> None:
    """Fill a panel (H, W, 3) with words, in place."""
    height, width = panel.shape[:2]
    top = 6
    while True:
        scale = int(rng.integers(1, 6))
        if top + 7 * scale > height - 4:
            return
        ink = rng.uniform(0.75, 1.0, 3) if dark else rng.uniform(0.0, 0.3, 3)
        words: list[str] = []
        while (len(" ".join([*words, "WWWWW"]))) * 6 * scale < width - 12:
            words.append(str(rng.choice(_WORDS)))
        mask = line(" ".join(words), scale)[..., None]
        place = panel[top : top + mask.shape[0], 6 : 6 + mask.shape[1]]
        place += mask * (ink - place)
        top += 7 * scale + 2 + 2 * scale


def _reduced(picture: np.ndarray) -> np.ndarray:
    """Mean over squares of the oversampling, in light (power 2.2)."""
    side = picture.shape[0] // _FINE_PX
    squares = (picture**2.2).reshape(side, _FINE_PX, side, _FINE_PX, -1)
    return squares.mean(axis=(1, 3)) ** (1 / 2.2)


def _rounded(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
