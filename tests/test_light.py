"""Light is conserved over windows, and nothing is touched where nothing changed."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.light import CONTEXT_PX, conserve_light


def scene(height: int = 160, width: int = 200) -> np.ndarray:
    return np.random.default_rng(2).uniform(0.2, 0.7, (height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (160, 200)])
def test_an_unchanged_picture_stays_bit_for_bit(size: tuple[int, int]) -> None:
    picture = scene(*size)
    np.testing.assert_array_equal(conserve_light(picture, picture), picture)


def test_a_darkened_picture_gets_its_light_back() -> None:
    picture = scene()
    restored = conserve_light(picture, picture * np.float32(0.9))
    np.testing.assert_allclose((restored**2).mean((0, 1)), (picture**2).mean((0, 1)), rtol=0.01)


def test_colours_are_kept_a_channel_at_a_time() -> None:
    picture = scene()
    tinted = picture * np.array([1.0, 0.95, 1.1], np.float32)
    np.testing.assert_allclose(conserve_light(picture, tinted).mean((0, 1)), picture.mean((0, 1)), rtol=0.01)


def test_detail_that_moves_light_within_a_window_is_kept() -> None:
    """A dot that a disc had spread over 13 px: the sum of light is the same, so nothing is scaled."""
    spread = np.zeros((160, 160, 3), np.float32)
    y, x = np.mgrid[:160, :160]
    disc = np.hypot(y - 80, x - 80) <= 6
    spread[disc] = np.sqrt(0.8 / disc.sum())
    dot = np.zeros_like(spread)
    dot[80, 80] = np.sqrt(0.8)
    inside = slice(70, 90)
    np.testing.assert_allclose(conserve_light(spread, dot)[inside, inside], dot[inside, inside], rtol=0.06)


def test_it_is_local() -> None:
    before, after = scene(), scene() * np.float32(0.97)
    after[:40] = before[:40]
    whole = conserve_light(before, after)
    part = conserve_light(before[16:144, 32:192], after[16:144, 32:192])
    inside = slice(CONTEXT_PX, -CONTEXT_PX)
    np.testing.assert_allclose(part[inside, inside], whole[16:144, 32:192][inside, inside], atol=1e-6)
