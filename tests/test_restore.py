"""The pipeline around the network: tiles, scales, strength, depths, and what must not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus import restore as pipeline
from allfocus.defocus.map import DISPARITY_TO_RADIUS
from allfocus.engine.base import Engine, Estimate
from allfocus.errors import EngineMemoryError, InputError, OptionError
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box
from allfocus.restore import MOST_STRENGTH, Progress, Restored, Settings, Views, finish, restore
from blurred import blurred_texture
from engines import MULTIPLE, LocalEngine, card


def run(photo: np.ndarray, engine: LocalEngine, **chosen: object) -> tuple[np.ndarray, Restored, list[Progress]]:
    settings = Settings(**{"scale": 1, **chosen})  # type: ignore[arg-type]
    seen: list[Progress] = []
    restored = finish(restore(decode(photo), engine, card(), settings), seen.append)
    return whole(restored), restored, seen


def whole(restored: Restored) -> np.ndarray:
    return restored.canvas.read(Box(0, 0, restored.canvas.width, restored.canvas.height))


def noise(height: int, width: int, dtype: type = np.uint8, bands: int = 3) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype is np.float32:
        return rng.uniform(0, 1, (height, width, bands)).astype(np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, bands), dtype=dtype, endpoint=True)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([np.uint8, np.uint16, np.float32]))
@settings(max_examples=10, deadline=None)
def test_a_residual_of_zero_changes_no_bit(height: int, width: int, dtype: type) -> None:
    photo = noise(height, width, dtype)
    for scale in (1, 4):
        np.testing.assert_array_equal(run(photo, LocalEngine(gain=0), scale=scale)[0], photo)


@pytest.mark.parametrize("size", [(256, 256), (257, 256), (256, 273), (500, 301), (7, 13), (1, 1), (1, 600)])
def test_tiled_equals_untiled(size: tuple[int, int]) -> None:
    photo = noise(*size, np.uint16)
    tiled = run(photo, LocalEngine(), tile=256)[0].astype(int)
    untiled = run(photo, LocalEngine(), tile=4096)[0].astype(int)
    assert np.abs(tiled - untiled).max() <= 5  # of 65535: four parts rounded to fixed point, each by half of 2 levels


def test_each_scale_is_told_with_its_tiles() -> None:
    _, restored, seen = run(noise(300, 500), LocalEngine(), scale=2, tile=256, with_map=True)
    assert restored.scales == (2, 1)
    told = [(2, 0, 1), (2, 1, 1), *((1, done, 5) for done in range(6))]
    assert [(step.scale, step.done, step.total) for step in seen] == told
    assert all(step.scales == (2, 1) for step in seen) and len({step.planned_px for step in seen}) == 2
    assert sum({step.scale: step.planned_px for step in seen}.values()) == restored.seen_px


def test_the_largest_tile_of_a_scale_comes_first() -> None:
    engine = LocalEngine()
    run(half_soft(500, 512), engine, tile=256)
    assert engine.areas == sorted(engine.areas, reverse=True)


def half_soft(height: int, width: int) -> np.ndarray:
    """White noise on the left, which is in focus at every scale, and soft blocks from the middle on: uint8."""
    photo = noise(height, width)
    soft = blurred_texture(5, 512)[:height, : width - width // 2]
    photo[:, width // 2 :] = soft
    return photo


@pytest.mark.parametrize("size", [(500, 512), (257, 300), (33, 512), (512, 490)])
def test_what_is_in_focus_never_reaches_the_network_and_changes_by_a_level_at_most(size: tuple[int, int]) -> None:
    photo, sparing, thorough = half_soft(*size), LocalEngine(), LocalEngine()
    cut = run(photo, sparing, tile=256)[0].astype(int)
    whole_tiles = run(photo, thorough, tile=256, with_map=True)[0].astype(int)
    assert np.abs(cut - whole_tiles).max() <= 1
    assert np.abs(cut - photo).max() > 5
    assert sum(sparing.areas) <= (0.9 if min(size) > 300 else 1) * sum(thorough.areas)


def test_full_size_leaves_out_what_is_too_blurred_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allfocus.scales.LARGE_PX", 0)  # so that `finest` counts
    photo = blurred_texture(40, 512)
    halved = whole(finish(restore(decode(photo), LocalEngine(), card(), Settings(scale=2, finest=2))))
    sharp, restored, seen = run(photo, LocalEngine(), scale=2)
    assert np.abs(sharp.astype(int) - halved).max() <= 1
    assert (sharp != photo).mean() > 0.05
    assert {step.scale for step in seen} == {2}
    assert restored.seen_px == 256 * 256
    mapped, _, told = run(photo, LocalEngine(), scale=2, with_map=True)
    assert np.abs(mapped.astype(int) - sharp).max() <= 1
    assert {step.scale for step in told} == {1, 2}  # the map wants all of it


def test_full_size_goes_on_beside_what_is_too_blurred_for_it() -> None:
    photo = blurred_texture(2, 768)
    photo[:, 384:] = blurred_texture(40, 768)[:, 384:]
    sparing, mapping = LocalEngine(), LocalEngine()
    cut = run(photo, sparing, scale=2, tile=256)[0].astype(int)
    thorough = run(photo, mapping, scale=2, tile=256, with_map=True)[0].astype(int)
    assert np.abs(cut - thorough).max() <= 1
    assert sum(sparing.areas) < 0.8 * sum(mapping.areas)
    assert np.abs(cut - photo)[:, :300].max() > 5


class FittingLocalEngine(LocalEngine):
    """Notes for which sizes it was asked to make itself ready, and that other batches do not come then."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def fitted(self, height: int, width: int) -> Engine:
        self.sizes.append((height, width))
        return OneSize(self, height, width)


class OneSize(LocalEngine):
    def __init__(self, whole: LocalEngine, height: int, width: int) -> None:
        super().__init__()
        self.areas, self.size = whole.areas, (height, width)

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        assert batch.shape == (1, 3, *self.size)
        return super().run(batch, pair)


@pytest.mark.parametrize("soft", ["everywhere", "in a corner"])
def test_a_large_photo_with_much_to_do_gets_an_engine_of_one_size(soft: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "FITTED_PX", 30_000)
    monkeypatch.setattr(pipeline, "FITTED_SIDE_PX", 400)
    photo = blurred_texture(4, 640)
    if soft == "in a corner":
        photo[150:], photo[:, 150:] = noise(490, 640), noise(640, 490)
    engine = FittingLocalEngine()
    quick = finish(restore(decode(photo), engine, card(), Settings(scale=1)))
    assert bool(engine.sizes) == (soft == "everywhere")
    assert (quick.tile == 400) == (soft == "everywhere")
    np.testing.assert_allclose(whole(quick).astype(int), run(photo, LocalEngine())[0], atol=1)
    engine.sizes.clear()
    finish(restore(decode(photo), engine, card(), Settings(scale=1, tile=256)))  # who asks for a tile gets it
    assert engine.sizes == []


def test_a_photo_in_focus_is_not_looked_at() -> None:
    engine = LocalEngine()
    sharp, restored, seen = run(noise(300, 200), engine, scale=2)
    np.testing.assert_array_equal(sharp, noise(300, 200))
    assert (engine.areas, seen, restored.seen_px) == ([], [], 0)


def test_the_network_is_asked_while_other_tiles_are_made_ready_and_results_keep_their_order() -> None:
    photo = blurred_texture(4, 512)
    slow, restored, seen = run(photo, LocalEngine(), tile=256)
    assert [step.done for step in seen] == list(range(seen[-1].total + 1))
    np.testing.assert_array_equal(slow, run(photo, LocalEngine(), tile=256)[0])
    assert restored.seen_px >= 512 * 512


def test_strength_scales_the_change() -> None:
    photo = np.full((64, 64, 3), 100, np.uint8)
    photo[20:40, 20:40] = 140
    full, half, none = (run(photo, LocalEngine(), strength=s)[0].astype(float) for s in (1, 0.5, 0))
    np.testing.assert_array_equal(none, photo)
    np.testing.assert_allclose(half - photo, (full - photo) / 2, atol=0.51)


def test_the_crispest_adds_more_than_the_residual() -> None:
    photo = np.full((64, 64, 3), 100, np.uint8)
    photo[20:40, 20:40] = 140
    full, crispest = (run(photo, LocalEngine(), strength=s)[0].astype(float) for s in (1, MOST_STRENGTH))
    np.testing.assert_allclose(crispest - photo, MOST_STRENGTH * (full - photo), atol=1.3)


def test_grey_stays_grey() -> None:
    photo = noise(40, 50, np.uint8, bands=1)[..., 0]
    assert run(photo, LocalEngine())[0].shape == (40, 50, 1)


def test_out_of_memory_makes_a_plan_of_smaller_tiles() -> None:
    photo = noise(700, 700)
    engine = LocalEngine(memory_px=300)
    sharp, restored, _ = run(photo, engine, tile=1024, with_map=True)
    assert restored.tile == 256
    assert max(engine.areas[1:]) <= 512**2
    expected = run(photo, LocalEngine(), tile=1024)[0]
    assert np.abs(sharp.astype(int) - expected).max() <= 1


def test_out_of_memory_on_the_smallest_tile_is_said() -> None:
    with pytest.raises(EngineMemoryError):
        run(noise(700, 700), LocalEngine(memory_px=10), tile=1024, with_map=True)


def test_a_coarse_stage_sharpens_what_the_fine_one_cannot_see() -> None:
    """Soft blocks of 32 px: the local engine sees little but slopes at full size, and edges at a quarter."""
    blocks = np.kron(np.random.default_rng(0).integers(60, 200, (8, 8)), np.ones((32, 32)))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(blocks, 2, mode="edge"), (5, 5))
    photo = np.rint(windows.mean(axis=(-2, -1))).astype(np.uint8)[..., None].repeat(3, 2)
    fine, coarse = (run(photo, LocalEngine(), scale=scale)[0].astype(float) for scale in (1, 4))
    assert np.abs(coarse - photo).mean() > 2 * np.abs(fine - photo).mean()


class TwoSteps(LocalEngine):
    """Adds one number to the first tile, which is all of the coarse scale, and another to those that follow."""

    def __init__(self, coarse: float, fine: float) -> None:
        super().__init__()
        self.coarse, self.fine = coarse, fine

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        self.areas.append(batch.size)
        return Estimate(np.full_like(batch, self.coarse if len(self.areas) == 1 else self.fine), None)


@pytest.mark.parametrize(("grey", "coarse", "fine", "wanted"), [(20, -0.3, 0.2, 51), (235, 0.3, -0.2, 204)])
def test_a_fine_stage_starts_from_black_or_white_where_the_coarse_one_went_beyond(
    grey: int, coarse: float, fine: float, wanted: int
) -> None:
    photo = np.full((300, 500, 3), grey, np.uint8)
    photo[:, ::2, 1] = 128  # where nothing is cut off
    sharp = run(photo, TwoSteps(coarse, fine), scale=2, tile=256, gated=False)[0].astype(int)
    assert np.abs(sharp[..., 0] - wanted).max() <= 1
    assert np.abs(sharp[:, ::2, 1] - (128 + 255 * (coarse + fine))).max() <= 1


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"strength": 1.5}, "strength 1.5; expected a number from 0 to 1.4"),
        ({"tile": -1}, "tile -1; expected a side in px, or 0"),
    ],
)
def test_settings_out_of_range_are_refused(chosen: dict[str, float], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        Settings(**chosen)  # type: ignore[arg-type]


def test_restored_tiles_are_told_to_who_asks() -> None:
    photo = blurred_texture(6.0, 256)
    restored, _, seen = run(photo, LocalEngine(), with_tiles=True)
    last = seen[-1]
    assert last.tile is not None and last.sharp is not None
    box = last.tile.target
    found = restored[box.y : box.y + box.height, box.x : box.x + box.width] / 255
    np.testing.assert_allclose(np.clip(last.sharp, 0, 1), found, atol=0.51 / 255)
    plain, _, seen = run(photo, LocalEngine())
    assert all(step.sharp is None for step in seen)
    assert np.abs(plain.astype(int) - restored).max() <= 1


def test_closing_the_generator_stops_the_work() -> None:
    engine = LocalEngine()
    steps = restore(decode(noise(600, 600)), engine, card(), Settings(scale=1, tile=256, with_map=True))
    next(steps)
    steps.close()
    assert len(engine.areas) <= 2  # the second runs while the first is taken in


def split(dtype: type = np.uint8) -> np.ndarray:
    """Soft noise, dark on the left and bright on the right: for an engine whose disparity is the brightness."""
    bright = np.where(np.arange(320) < 160, 0.15, 0.85)[None, :, None]
    noise = np.random.default_rng(0).normal(0, 1, (106, 330, 3))
    soft = np.lib.stride_tricks.sliding_window_view(noise, (11, 11), axis=(0, 1)).mean(axis=(-2, -1))
    values = np.clip(bright + soft, 0, 1)
    return values.astype(np.float32) if dtype is np.float32 else np.rint(values * np.iinfo(dtype).max).astype(dtype)


def blur_px(disparity: float, brightness: float) -> float:
    return disparity * brightness * MULTIPLE * DISPARITY_TO_RADIUS


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_kept_bokeh_is_left_bit_for_bit_and_the_rest_is_not(dtype: type) -> None:
    photo = split(dtype)
    engine = LocalEngine(disparity=0.5)  # 3 px on the left, 17 px on the right
    kept, restored, _ = run(photo, engine, keep_bokeh=8.0, tile=256)
    plain = run(photo, engine, tile=256)[0]
    assert restored.defocus_map is not None
    radius_px = restored.defocus_map.read()
    beyond, below = radius_px >= 8.0, radius_px <= 6.0
    assert beyond[:, 180:].all()
    assert below[:, :140].all()
    np.testing.assert_array_equal(kept[beyond], photo[beyond])
    np.testing.assert_array_equal(kept[below], plain[below])
    assert (plain[beyond] != photo[beyond]).mean() > 0.2
    between = ~beyond & ~below
    assert between.any()
    changes = [np.abs(pixels[between].astype(float) - photo[between]) for pixels in (kept, plain)]
    assert (changes[0] <= changes[1]).all()


def test_the_radius_is_that_of_the_disparity_at_every_scale() -> None:
    photo = np.full((150, 270, 3), 0.5, np.float32)
    for scale in (1, 2, 4):
        restored = run(photo, LocalEngine(gain=0, disparity=0.25), scale=scale, with_map=True)[1]
        assert restored.defocus_map is not None
        np.testing.assert_allclose(restored.defocus_map.read(), scale * blur_px(0.25, 0.5), rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (300, 500)])
def test_tiles_put_every_disparity_at_its_place(size: tuple[int, int]) -> None:
    """Cells of random brightness, which this engine gives back as disparity, are the map at their middles."""
    rows, columns = (-(-side // MULTIPLE) for side in size)
    cells = np.random.default_rng(0).random((rows, columns, 1), dtype=np.float32)
    photo = cells.repeat(MULTIPLE, 0).repeat(MULTIPLE, 1).repeat(3, 2)
    restored = run(photo, LocalEngine(gain=0, disparity=1.0), tile=256, with_map=True)[1]
    assert restored.defocus_map is not None
    radius_px, half = restored.defocus_map.read(), MULTIPLE // 2
    corners = [radius_px[y::MULTIPLE, x::MULTIPLE] for y in (half - 1, half) for x in (half - 1, half)]
    wanted = cells[..., 0] * MULTIPLE * DISPARITY_TO_RADIUS
    np.testing.assert_allclose(sum(corners) / 4, wanted, atol=0.1 * wanted.max())


class SidesEngine(LocalEngine):
    """Turns the photo into a quarter of the left view and three quarters of the right one."""

    def run(self, batch: np.ndarray, pair: np.ndarray | None = None) -> Estimate:
        assert pair is not None
        self.areas.append(batch.shape[2] * batch.shape[3])
        return Estimate(0.75 * pair[:, :3] + 0.25 * pair[:, 3:] - batch, None)


DUAL = replace(card(), views=2, outputs=("residual",))


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (256, 256), (300, 500)])
def test_views_are_cut_and_blended_like_the_photo(size: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    photo, left, right = (random.random((*size, 3), dtype=np.float32) for _ in range(3))
    engine = SidesEngine()
    settings = Settings(tile=256, gated=False)
    restored = finish(restore(decode(photo), engine, DUAL, settings, Views(decode(left), decode(right))))
    assert restored.scales == (1,)  # auto, for two views
    assert (len(engine.areas) > 1) == (max(size) > 256)
    np.testing.assert_allclose(whole(restored), 0.25 * left + 0.75 * right, atol=1e-4)


def test_what_is_in_focus_is_left_alone_with_two_views_too() -> None:
    """White noise is as sharp as a picture can be; ungated, the same network replaces it."""
    photo, other = decode(noise(200, 230)), decode(np.full((200, 230, 3), 128, np.uint8))
    kept = finish(restore(photo, SidesEngine(), DUAL, Settings(), Views(other, other)))
    np.testing.assert_array_equal(whole(kept), noise(200, 230))
    replaced = finish(restore(photo, SidesEngine(), DUAL, Settings(gated=False), Views(other, other)))
    assert np.abs(whole(replaced).astype(int) - 128).max() <= 1


def test_a_coarse_scale_hands_the_views_on_too() -> None:
    grey = decode(np.full((200, 230, 3), 0.5, np.float32))
    views = Views(*(decode(np.full((200, 230, 3), value, np.float32)) for value in (0.4, 0.4)))
    restored = finish(restore(grey, SidesEngine(), DUAL, Settings(scale=2, gated=False), views))
    assert restored.scales == (2, 1)
    np.testing.assert_allclose(whole(restored), 0.3, atol=1e-4)  # 0.4, then the views less 0.1


def test_views_that_do_not_fit_are_refused() -> None:
    photo, small = decode(noise(40, 40)), decode(noise(40, 30))
    with pytest.raises(OptionError, match="no dual-pixel views for stand-in, a network of two"):
        finish(restore(photo, SidesEngine(), DUAL, Settings()))
    with pytest.raises(OptionError, match="dual-pixel views for stand-in, a network of one view"):
        finish(restore(photo, LocalEngine(), card(), Settings(), Views(photo, photo)))
    with pytest.raises(InputError, match="a right view of 30x40 px; expected the photo's 40x40"):
        finish(restore(photo, SidesEngine(), DUAL, Settings(), Views(photo, small)))


def test_a_network_that_does_not_tell_cannot_keep_bokeh() -> None:
    silent = replace(card(), outputs=("residual",))
    with pytest.raises(OptionError, match="stand-in, which estimates no disparity"):
        next(restore(decode(noise(40, 40)), LocalEngine(), silent, Settings(keep_bokeh=5.0)))


@pytest.mark.parametrize("value", [0.0, -3.0, float("nan"), float("inf")])
def test_bokeh_is_kept_from_a_radius_on(value: float) -> None:
    with pytest.raises(OptionError, match="a blur radius above 0 px"):
        Settings(keep_bokeh=value)
