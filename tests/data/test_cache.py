"""Pre-rendered samples: rendered once, continued after a kill, cropped in step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.data.cache import CacheSpec, SampleCache, render_cache, sharp_photos
from allfocus.errors import DataError
from allfocus.simulate.simulator import SimulatorConfig


@pytest.fixture
def spec(tmp_path: Path) -> CacheSpec:
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for index in range(2):
        blocks = np.kron(rng.integers(0, 255, (20, 20, 3)), np.ones((10, 10, 1))).astype(np.uint8)
        pyvips.Image.new_from_array(blocks).pngsave(str(photos / f"{index}.png"))
    settings = SimulatorConfig.from_dict({"crop_px": 64}).to_dict()
    return CacheSpec(count=3, side_px=64, seed=5, photos=str(photos), left_out=[], simulator=settings)


def test_rendering_again_gives_the_same_samples_and_other_settings_are_refused(tmp_path: Path, spec: CacheSpec) -> None:
    first = render_cache(spec, tmp_path / "a", workers=1)
    assert first.array("centre").shape == first.array("sharp").shape == (3, 64, 64, 3)
    assert first.array("coc").shape == (3, 8, 8)
    again = render_cache(spec, tmp_path / "b", workers=1)
    np.testing.assert_array_equal(first.array("centre"), again.array("centre"))
    other = CacheSpec(**{**spec.__dict__, "seed": 6})
    with pytest.raises(DataError, match="holds samples with other settings"):
        render_cache(other, tmp_path / "a", workers=1)


def test_a_folder_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no cache\.json"):
        SampleCache(tmp_path)


def test_photos_left_out_are_left_out(tmp_path: Path, spec: CacheSpec) -> None:
    folder = Path(spec.photos)
    assert [path.name for path in sharp_photos(folder, ["0.png"])] == ["1.png"]
    with pytest.raises(DataError, match="no photo in"):
        sharp_photos(folder, ["0.png", "1.png"])


def test_views_and_finer_maps_are_kept_on_demand(tmp_path: Path, spec: CacheSpec) -> None:
    plain = render_cache(spec, tmp_path / "a", workers=1)
    whole = render_cache(replace(spec, views=True, grid_px=2), tmp_path / "b", workers=1)
    assert plain.fields == {"coc"}
    assert whole.fields == {"coc", "left", "right"}
    assert whole.array("coc").shape == (3, 32, 32)
    sample = whole.crop(np.random.default_rng(0), 32, ("coc", "left"))
    assert sample.left is not None
    assert sample.coc is not None
    assert sample.right is None
    assert sample.left.shape == (1, 3, 32, 32)
    assert sample.coc.shape == (1, 1, 16, 16)
    np.testing.assert_array_equal(plain.array("centre"), whole.array("centre"))


def test_a_cache_that_lacks_an_array_is_refused(tmp_path: Path, spec: CacheSpec) -> None:
    render_cache(spec, tmp_path / "a", workers=1)
    (tmp_path / "a" / "coc.npy").unlink()
    with pytest.raises(DataError, match=r"lacks coc\.npy"):
        SampleCache(tmp_path / "a")
