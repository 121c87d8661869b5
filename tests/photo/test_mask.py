"""Masks: their shape, their size, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest

import allfocus
from allfocus.errors import InputError
from allfocus.photo.codecs import decode
from allfocus.photo.mask import Mask
from allfocus.photo.tiling import Box


def mask(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    return Mask(decode(pixels), width, height).share(Box(0, 0, width, height))[..., 0]


def test_same_size_is_taken_as_it_is() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    assert np.array_equal(mask(pixels, 4, 3), pixels / np.float32(255))


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 48), (65, 49), (640, 480)])
def test_white_is_white_and_black_is_black_at_any_size(size: tuple[int, int]) -> None:
    width, height = size
    small = (max(1, height // 4), max(1, width // 4))
    assert (mask(np.full(small, 255, np.uint8), width, height) == 1).all()
    assert (mask(np.zeros(small, np.uint16), width, height) == 0).all()


def test_halves_stay_halves() -> None:
    pixels = np.zeros((10, 20), np.uint8)
    pixels[:, 10:] = 255
    share = mask(pixels, 200, 100)
    assert (share[:, :90] == 0).all() and (share[:, 110:] == 1).all()


def test_colours_are_averaged() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[..., 1] = 255
    assert np.allclose(mask(pixels, 4, 4), 1 / 3)


def test_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="a mask of 40x30 for a photo of 300x400"):
        mask(np.zeros((30, 40), np.uint8), 300, 400)


def test_what_is_black_stays_bit_for_bit() -> None:
    noise = np.random.default_rng(1).random((16, 24, 3)).repeat(8, 0).repeat(8, 1)
    photo = (noise * 65535).astype(np.uint16)
    left = np.zeros((128, 192), np.uint8)
    left[:, 96:] = 255
    sharp, whole = (allfocus.deblur(photo, mask=one, engine="openvino") for one in (left, None))
    assert isinstance(sharp, np.ndarray) and isinstance(whole, np.ndarray)
    assert np.array_equal(sharp[:, :96], photo[:, :96])
    assert np.array_equal(sharp[:, 96:], whole[:, 96:])
    assert not np.array_equal(whole, photo)
