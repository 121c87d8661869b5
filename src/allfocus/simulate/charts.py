"""Drawn test pictures: text, slanted edges, gratings and noise, the same on every machine."""

from __future__ import annotations

import numpy as np

from allfocus.simulate.glyphs import line

_OVERSAMPLING = 4
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
            _write(rng, picture[top : top + panel, left : left + panel], dark)
    return _codes(picture)


def edge_chart(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Slanted squares of two tones each, for edge profiles: uint8 (size, size, 3)."""
    fine = size_px * _OVERSAMPLING
    axis = (np.arange(fine) + 0.5) / _OVERSAMPLING
    rows, columns = axis[:, None], axis[None, :]
    picture = np.broadcast_to(rng.uniform(0.35, 0.6, 3), (fine, fine, 3)).copy()
    cells = 4
    side = size_px / cells
    for row in range(cells):
        for column in range(cells):
            place = tuple(
                slice(round(at * side * _OVERSAMPLING), round((at + 1) * side * _OVERSAMPLING)) for at in (row, column)
            )
            angle = np.radians(float(rng.uniform(3.0, 40.0)))
            down, across = rows[place[0]] - (row + 0.5) * side, columns[:, place[1]] - (column + 0.5) * side
            turned = np.abs(across * np.cos(angle) + down * np.sin(angle))
            other = np.abs(down * np.cos(angle) - across * np.sin(angle))
            inside = np.maximum(turned, other) < 0.33 * side
            picture[place][inside] = rng.uniform(0.02, 0.2, 3) if rng.random() < 0.5 else rng.uniform(0.8, 1.0, 3)
    return _codes(_reduced(picture))


def grating_chart(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Star targets and line gratings from coarse to fine: uint8 (size, size, 3)."""
    fine = size_px * _OVERSAMPLING
    axis = (np.arange(fine) + 0.5) / _OVERSAMPLING
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
    return _codes(_reduced(dark + tone[..., None] * (bright - dark)))


def natural_noise(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Noise with the 1/f spectrum of photos: float32 (size, size, 3) in [0, 1]; its borders fit together."""
    frequency = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((3, size_px, size_px))) / frequency
    picture = np.fft.irfft2(spectrum, s=(size_px, size_px)).transpose(1, 2, 0)
    picture = (picture - picture.mean()) / picture.std() * 0.18 + 0.45
    return np.ascontiguousarray(np.clip(picture, 0.0, 1.0), np.float32)


def _write(rng: np.random.Generator, panel: np.ndarray, dark: bool) -> None:
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
    side = picture.shape[0] // _OVERSAMPLING
    squares = (picture**2.2).reshape(side, _OVERSAMPLING, side, _OVERSAMPLING, -1)
    return squares.mean(axis=(1, 3)) ** (1 / 2.2)


def _codes(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
