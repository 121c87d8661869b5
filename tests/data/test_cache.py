"""Pre-rendered samples: rendered once, continued after a kill, cropped in step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus.data.augment import draw_batch
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
    assert first.centre.shape == first.sharp.shape == (3, 64, 64, 3)
    assert first.coc.shape == (3, 8, 8)
    again = render_cache(spec, tmp_path / "b", workers=1)
    np.testing.assert_array_equal(first.centre, again.centre)
    other = CacheSpec(**{**spec.__dict__, "seed": 6})
    with pytest.raises(DataError, match="holds samples of other settings"):
        render_cache(other, tmp_path / "a", workers=1)


def test_a_folder_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no cache\.json"):
        SampleCache(tmp_path)


def test_photos_left_out_are_left_out(tmp_path: Path, spec: CacheSpec) -> None:
    folder = Path(spec.photos)
    assert [path.name for path in sharp_photos(folder, ["0.png"])] == ["1.png"]
    with pytest.raises(DataError, match="no photo in"):
        sharp_photos(folder, ["0.png", "1.png"])


def test_crops_flips_and_turns_keep_pictures_and_map_together(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    ramp = np.arange(64, dtype=np.uint8)
    picture = np.broadcast_to(ramp[None, :, None] * 2 + ramp[:, None, None], (64, 64, 3)).astype(np.uint8)
    cells = picture[..., 0].reshape(8, 8, 8, 8).mean((1, 3))
    for name, array in (("centre", picture[None]), ("sharp", picture[None]), ("coc", cells[None].astype(np.float16))):
        np.save(folder / f"{name}.npy", array)
    spec = '{"count": 1, "side_px": 64, "seed": 0, "photos": "", "left_out": [], "simulator": {}}'
    (folder / "cache.json").write_text(spec)
    centre, sharp, coc = draw_batch(SampleCache(folder), 8, 32, np.random.default_rng(1))
    assert centre.shape == sharp.shape == (8, 3, 32, 32)
    assert (centre == sharp).all()
    means = (centre[:, 0] * 255).reshape(8, 4, 8, 4, 8).mean((2, 4))
    np.testing.assert_allclose(means.numpy(), coc[:, 0].numpy(), atol=0.1)
