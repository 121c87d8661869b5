"""Drawn content: repeatable on every machine, readable, and the same sharpness at any angle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from allfocus.simulate.drawings import (
    _SIGNS,
    KINDS,
    _distance,
    dots,
    draw_print,
    edge_chart,
    grating_chart,
    line,
    natural_noise,
    text_chart,
)
from allfocus.simulate.photos import PhotoPool
from allfocus.simulate.scene import SceneConfig
from allfocus.simulate.simulator import Simulator, SimulatorConfig


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


def photo(size_px: int = 128) -> torch.Tensor:
    return torch.from_numpy(natural_noise(np.random.default_rng(0), size_px)).permute(2, 0, 1).contiguous()


def test_prints_repeat_and_stand_out() -> None:
    seen = set()
    for seed in range(24):
        first, kind = draw_print(np.random.default_rng(seed), photo())
        again, _ = draw_print(np.random.default_rng(seed), photo())
        assert torch.equal(first, again)
        assert first.shape == (3, 128, 128) and first.dtype == torch.float32
        assert float(first.min()) >= 0.0 and float(first.max()) <= 1.0
        dark, bright = torch.quantile(first.mean(dim=0), torch.tensor([0.02, 0.98])).tolist()
        assert bright - dark > 0.12
        seen.add(kind)
    assert seen == set(KINDS)


@pytest.mark.parametrize("sign", ["A", "e", "g", "8"])
def test_strokes_run_through_the_dots_of_a_sign(sign: str) -> None:
    rows, columns = np.nonzero(dots(sign))
    number = np.full(len(rows), _SIGNS.index(sign))
    assert _distance(number, columns + 1.0, rows + 1.0).max() < 0.1
    empty_rows, empty_columns = np.nonzero(~dots(sign))
    away = _distance(np.full(len(empty_rows), _SIGNS.index(sign)), empty_columns + 1.0, empty_rows + 1.0)
    assert away.min() > 0.4 and away.max() > 0.9


def test_letters_do_not_reach_their_neighbours() -> None:
    """Half a stroke is at most 0.7 dots wide: nothing is cut off at the border of a cell."""
    along = np.linspace(0.0, 10.0, 50)
    for number in range(len(_SIGNS)):
        signs = np.full(50, number)
        assert min(_distance(signs, np.full(50, edge), along).min() for edge in (0.0, 6.0)) > 0.85
        assert min(_distance(signs, along * 0.6, np.full(50, edge)).min() for edge in (0.0, 10.0)) > 0.85


def test_captions_are_written_in_capitals() -> None:
    assert np.array_equal(line("abc"), line("ABC"))


def test_scenes_name_what_is_printed(photographs: list[np.ndarray]) -> None:
    scene = SceneConfig(composite=1.0, single=0.0, plane=0.0, identity=0.0, print_chance=1.0)
    simulator = Simulator(SimulatorConfig(crop_px=64, margin_px=16, scene=scene), PhotoPool(photographs))
    drawn = simulator.plan(3).parameters["scene"]
    assert isinstance(drawn, dict) and drawn["photos"]
    assert all(one["printed"] in KINDS for one in drawn["photos"])
