"""Boxes of pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels: `x`, `y` of its top left corner, `width` and `height` (integers, pixels)."""

    x: int
    y: int
    width: int
    height: int
