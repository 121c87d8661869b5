"""A contact sheet of rendered samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allfocus.simulate.drawings import line

HEADINGS = ("CENTRE", "SHARP", "LEFT - RIGHT", "BLUR: BEHIND / BEFORE")
FULL_BLUR_PX = 16.0
_STRIP_PX = 15
_GAP_PX = 4
_PAPER = 24
_BEHIND, _BEFORE = np.array([255.0, 140.0, 30.0]), np.array([40.0, 130.0, 255.0])


@dataclass(frozen=True)
class Exhibit:
    """One sample as the sheet shows it: pictures (H, W, 3), signed radii, hatched where not valid, and a caption."""

    centre: np.ndarray
    sharp: np.ndarray
    left: np.ndarray
    right: np.ndarray
    coc_px: np.ndarray
    valid: np.ndarray
    caption: str


def contact_sheet(exhibits: Sequence[Exhibit], *, columns: int = 2) -> np.ndarray:
    """Lay samples of one size out: photo, sharp photo, difference of the views, map of blur; caption below."""
    cards = [_card(exhibit) for exhibit in exhibits]
    height, width = cards[0].shape[:2]
    columns = min(columns, len(cards))
    rows = -(-len(cards) // columns)
    top = _STRIP_PX + _GAP_PX
    sheet = np.full((top + rows * (height + _GAP_PX), columns * (width + _GAP_PX) + _GAP_PX, 3), _PAPER, np.uint8)
    for column in range(columns):
        left = _GAP_PX + column * (width + _GAP_PX)
        for number, heading in enumerate(HEADINGS):
            _write(sheet, heading, 4, left + number * (width // len(HEADINGS)))
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        y, x = top + row * (height + _GAP_PX), _GAP_PX + column * (width + _GAP_PX)
        sheet[y : y + height, x : x + width] = card
    return sheet


def blur_colours(coc_px: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Orange behind the focus plane, blue before it, black in focus: uint8 (H, W, 3); hatched where not valid."""
    strength = np.clip(np.abs(coc_px) / FULL_BLUR_PX, 0.0, 1.0)[..., None] ** 0.7
    colours = strength * np.where((coc_px > 0)[..., None], _BEHIND, _BEFORE)
    rows, columns = np.indices(coc_px.shape)
    hatch = ~valid & ((rows + columns) % 8 < 2)
    colours[hatch] = colours[hatch] * 0.5 + 90.0
    return colours.astype(np.uint8)


def _card(exhibit: Exhibit) -> np.ndarray:
    difference = (exhibit.left - exhibit.right).mean(axis=2, keepdims=True).repeat(3, axis=2)
    parts = [_codes(exhibit.centre), _codes(exhibit.sharp), _codes(0.5 + difference)]
    row = np.concatenate([*parts, blur_colours(exhibit.coc_px, exhibit.valid)], axis=1)
    strip = np.full((_STRIP_PX, row.shape[1], 3), _PAPER, np.uint8)
    _write(strip, exhibit.caption, 4, 2)
    return np.concatenate([row, strip])


def _write(picture: np.ndarray, text: str, top: int, left: int) -> None:
    ink = line(text)[:, : max(0, picture.shape[1] - left)] > 0.0
    picture[top : top + ink.shape[0], left : left + ink.shape[1]][ink] = 230


def _codes(picture: np.ndarray) -> np.ndarray:
    return np.round(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
