"""Drawn pictures are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from allfocus.simulate.charts import edge_chart, grating_chart, natural_noise, text_chart
from allfocus.simulate.glyphs import line
from allfocus.simulate.preview import Exhibit, blur_colours, contact_sheet


@pytest.mark.parametrize("draw", [text_chart, edge_chart, grating_chart])
def test_charts_repeat(draw: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    first, again, other = (draw(np.random.default_rng(seed), 160) for seed in (1, 1, 2))
    assert first.shape == (160, 160, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert float(first.std()) > 25.0


def test_glyphs() -> None:
    ink = line("I-", 2)
    assert ink.shape == (14, 24)
    assert ink[:, 4:6].all() and not ink[:, 10:12].any()
    assert ink[6:8, 14:20].all() and not ink[0:6, 12:].any()


def test_noise_has_the_spectrum_of_photos() -> None:
    picture = natural_noise(np.random.default_rng(0), 128).mean(axis=2)
    power = np.abs(np.fft.fft2(picture - picture.mean())) ** 2
    low, high = power[2:6, 2:6].mean(), power[20:60, 20:60].mean()
    assert 20.0 < low / high < 500.0


def test_contact_sheet() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.random((40, 40, 3)) for _ in range(4)]
    coc_px = np.linspace(-9.0, 9.0, 40)[None].repeat(40, axis=0)
    exhibit = Exhibit(*pictures, coc_px=coc_px, valid=np.ones((40, 40), bool), caption="SEED 1")
    sheet = contact_sheet([exhibit] * 3)
    assert sheet.shape[1] > 2 * 160 and sheet.shape[0] > 2 * 40
    colours = blur_colours(coc_px, exhibit.valid).astype(int)
    assert colours[0, -1, 0] > colours[0, -1, 2] and colours[0, 0, 2] > colours[0, 0, 0]
    assert colours[0, 20].max() < 40
