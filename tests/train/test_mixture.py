"""Several caches as one source."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allfocus.data.cache import Mixture, SampleCache
from allfocus.errors import DataError
from allfocus.train.config import TrainConfig
from allfocus.train.loop import train
from train.conftest import write_cache


def of_one_grey(folder: Path, grey: int, count: int) -> SampleCache:
    cache = write_cache(folder, views=False)
    for name in ("centre", "sharp"):
        np.save(folder / f"{name}.npy", np.full((count, 64, 64, 3), grey, np.uint8))
    np.save(folder / "coc.npy", np.ones((count, 8, 8), np.float16))
    cache.spec = replace(cache.spec, count=count)
    return cache


def test_each_cache_is_drawn_as_often_as_it_has_samples(tmp_path: Path) -> None:
    mixture = Mixture([of_one_grey(tmp_path / "a", 10, 2), of_one_grey(tmp_path / "b", 20, 6)])
    rng = np.random.default_rng(0)
    drawn = Counter(round(255 * float(mixture.crop(rng, 16, ()).centre.mean())) for _ in range(400))
    assert set(drawn) == {10, 20}
    assert drawn[20] / 400 == pytest.approx(0.75, abs=0.06)


def test_a_field_that_one_cache_lacks_is_no_field_of_the_mixture(tmp_path: Path) -> None:
    mixture = Mixture([write_cache(tmp_path / "a"), write_cache(tmp_path / "b", views=False)])
    assert mixture.fields == {"coc"}
    assert mixture.side_px == 64
    assert mixture.name.endswith("b")


def test_a_run_on_two_caches_notes_the_settings_of_both(tmp_path: Path, config: TrainConfig) -> None:
    caches = [write_cache(tmp_path / name) for name in "ab"]
    train(replace(config, steps=1), Mixture(caches), tmp_path / "run", report=lambda _: None)
    assert set(json.loads((tmp_path / "run" / "trained_on.json").read_text())["simulator"]) == {"a", "b"}


def test_other_photos_and_no_caches_are_refused(tmp_path: Path) -> None:
    one, other = (write_cache(tmp_path / name) for name in "ab")
    other.origin = replace(other.origin, left_out=("one.png",))
    with pytest.raises(DataError, match="2 caches of 2 sets of photos"):
        Mixture([one, other])
    with pytest.raises(DataError, match="0 caches"):
        Mixture([])
