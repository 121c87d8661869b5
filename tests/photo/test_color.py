from __future__ import annotations

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from allfocus.photo.color import cmyk_to_srgb, linear_to_srgb, luma, srgb_to_linear


@given(st.floats(0, 1))
def test_there_and_back(value: float) -> None:
    assert float(linear_to_srgb(srgb_to_linear(np.array(value)))) == pytest.approx(value, abs=1e-7)


def test_the_standards_anchors() -> None:
    codes = np.array([0, 0.04045, 0.5, 1])
    np.testing.assert_allclose(srgb_to_linear(codes), [0, 0.0031308, 0.21404114, 1], atol=1e-7)


def test_both_ways_rise() -> None:
    steps = np.linspace(0, 1, 4097)
    assert (np.diff(srgb_to_linear(steps)) > 0).all()
    assert (np.diff(linear_to_srgb(steps)) > 0).all()


def test_luma_of_grey_is_grey() -> None:
    grey = np.full((2, 3, 3), 0.37)
    np.testing.assert_allclose(luma(grey), 0.37, atol=1e-12)


@pytest.mark.parametrize(("kind", "depth", "peak"), [("uchar", 255, 255), ("ushort", 65535, 65535)])
def test_cmyk_paper_is_white_and_full_black_is_dark(kind: str, depth: int, peak: int) -> None:
    ink = pyvips.Image.black(4, 4, bands=4).cast(kind).copy(interpretation="cmyk")
    paper = cmyk_to_srgb(ink).numpy()
    black = cmyk_to_srgb((ink + depth).cast(kind).copy(interpretation="cmyk")).numpy()
    assert paper.min() > 0.97 * peak
    assert black.max() < 0.2 * peak
    assert paper.dtype == {255: np.uint8, 65535: np.uint16}[peak]
