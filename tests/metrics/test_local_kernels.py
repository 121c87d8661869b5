"""The script behind the table of the filter's parts: it finds a filter that is there, and none that is not."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter

SIDE = 144


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    sys.path.insert(0, str(repository / "benchmarks"))
    try:
        spec = spec_from_file_location("local_kernels_benchmark", repository / "benchmarks" / "local_kernels.py")
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.fixture(scope="module")
def pair(script: ModuleType) -> Any:
    """Texture of every frequency, blurred by a disc of 2 px; the real photo is the same."""
    noise = np.random.default_rng(0).normal(size=(SIDE, SIDE, 3)).astype(np.float32)
    sharp = (0.5 + 0.1 * noise + 0.3 * gaussian_filter(noise, (3, 3, 0))).clip(0.05, 0.95).astype(np.float32)
    reblurred = through(script, sharp, script.disc(2.0))
    return script.Matched(reblurred, sharp, reblurred, np.full((SIDE, SIDE), 2.0))


def through(script: ModuleType, picture: Any, taps: Any) -> Any:
    light = script.srgb_to_linear(picture)
    blurred = np.stack([convolve(light[..., channel], taps, mode="mirror") for channel in range(3)], axis=-1)
    return script.linear_to_srgb(blurred.clip(0, 1)).astype(np.float32)


def test_a_shift_is_found_as_a_shift(script: ModuleType, pair: Any) -> None:
    disc = script.disc(2.0)
    wanted = 0.3 * np.gradient(disc)[1]
    real = through(script, pair.sharp, disc + wanted)
    kernels = script.fit(pair, real)
    assert np.abs(kernels.taps[1, 1] - wanted).max() < 0.005
    shifted = script.added(pair, script.variants(kernels)["disc and shift"])
    error, before = np.square(shifted - real)[8:-8, 8:-8].sum(), np.square(pair.reblurred - real)[8:-8, 8:-8].sum()
    assert error < 0.05 * before
    without = script.added(pair, script.variants(kernels)["all but the one-sided part"])
    assert np.square(without - real)[8:-8, 8:-8].sum() > 0.9 * before


def test_the_parts_make_the_whole(script: ModuleType) -> None:
    taps = np.random.default_rng(1).normal(size=(13, 13))
    assert np.allclose(script.one_sided(taps) + script.two_sided(taps) + script.round_(taps), taps)
    assert np.allclose(script.one_sided(script.two_sided(taps)), 0)
    disc = script.disc(4.0)
    assert np.abs(script.two_sided(disc)).max() < 0.2 * disc.max()  # but for its pixels, a disc is round


def test_what_holds_on_other_pixels_is_told_from_chance(script: ModuleType, pair: Any) -> None:
    rng = np.random.default_rng(2)
    noisy = pair.reblurred + gaussian_filter(rng.normal(size=pair.sharp.shape), (1, 1, 0)) * 0.05
    true = through(script, pair.sharp, script.disc(2.5))
    found = {
        name: script.measured(pair._replace(real=picture.astype(np.float32)), lambda picture: picture)["real"]
        for name, picture in {"noise": noisy, "filter": true}.items()
    }
    assert found["noise"]["held_out"]["disc and whole filter"] > 1
    assert found["filter"]["held_out"]["disc and whole filter"] < 0.2
    assert found["filter"]["held_out"]["disc and one-sided part"] > 0.9
    assert found["filter"]["removed_db"]["disc and whole filter"] == pytest.approx(0, abs=1e-6)  # nobody removes any
