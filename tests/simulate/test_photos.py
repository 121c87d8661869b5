"""The pool of sharp photos, and depth maps beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from allfocus.errors import DataError, OptionError
from allfocus.simulate.depth import DepthMaps
from allfocus.simulate.photos import PhotoPool, Place
from allfocus.simulate.scene import SceneConfig
from allfocus.simulate.simulator import Simulator, SimulatorConfig

CPU = torch.device("cpu")


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyvips.Image.new_from_array(pixels).write_to_file(str(path))
    return path


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    write(tmp_path / "good.png", noise(150, 140))
    write(tmp_path / "below" / "small.png", noise(150, 100))
    write(tmp_path / "panorama.png", noise(130, 3000))
    whole = write(tmp_path / "whole.jpg", noise(300, 300)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "raw.nef").write_bytes(b"II")
    (tmp_path / "notes.txt").write_text("no photo")
    pool = PhotoPool(tmp_path, verify=True, least_px=128)
    assert pool.names == ["good.png", "whole.jpg"]
    assert pool.paths == [tmp_path / "good.png", tmp_path / "whole.jpg"]
    skipped = dict(line.split(": ", 1) for line in pool.skipped)
    assert skipped == {
        "small.png": "100 x 150 px, needs at least 128 x 128",
        "panorama.png": "3000 x 130 px (used at 2048 x 89), needs at least 128 x 128",
        "cut.jpg": "damaged",
        "empty.png": "cannot be read",
        "raw.nef": "a format that is not read here; convert it to TIFF, PNG or JPEG",
    }


def test_a_pool_without_photos_says_what_is_needed(tmp_path: Path) -> None:
    write(tmp_path / "small.png", noise(20, 30))
    with pytest.raises(DataError, match=r"small\.png: 30 x 20 px, needs at least 128 x 128.*at least 128 x 128 px"):
        PhotoPool(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        PhotoPool(tmp_path / "nowhere")


def test_a_damaged_photo_is_an_error_when_nobody_looked_before(tmp_path: Path) -> None:
    write(tmp_path / "a.png", noise(200, 200))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    pool = PhotoPool(tmp_path)
    with pytest.raises(DataError, match=r"a\.png cannot be decoded"):
        pool.photo(0)


def test_grey_and_alpha_become_rgb(tmp_path: Path) -> None:
    write(tmp_path / "a.png", noise(130, 140)[..., 0])
    write(tmp_path / "b.png", np.dstack([noise(130, 140), np.full((130, 140), 255, np.uint8)]))
    pool = PhotoPool(tmp_path)
    assert pool.photo(0).shape == pool.photo(1).shape == (3, 130, 140)
    assert torch.equal(pool.photo(0)[0], pool.photo(0)[2])
    assert torch.equal(pool.photo(1), torch.from_numpy(noise(130, 140)).permute(2, 0, 1))


def test_the_cache_forgets_the_oldest() -> None:
    pool = PhotoPool([noise(130, 140) + number for number in range(4)], cache_bytes=2 * 130 * 140 * 3)
    first = pool.photo(0)
    for number in range(4):
        pool.photo(number)
    assert pool.photo(0) is not first and torch.equal(pool.photo(0), first)


def test_textures_mirror_beyond_the_photo_and_flip() -> None:
    picture = noise(130, 140)
    pool = PhotoPool([picture])
    place = Place(0, 0, 0, 130, 140, 1.0)
    texture = (pool.texture(place, 160, CPU) * 255.0).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(texture[15:145, 10:150], picture)
    assert np.array_equal(texture[14, 10:150], picture[0]) and np.array_equal(texture[13, 10:150], picture[1])
    flipped = pool.texture(Place(0, 0, 0, 130, 140, 1.0, flipped=True), 160, CPU)
    assert torch.equal(flipped.flip(2), pool.texture(place, 160, CPU))


def test_crops_with_detail_are_preferred() -> None:
    flat, busy = np.full((300, 300, 3), 90, np.uint8), noise(300, 300)
    pool = PhotoPool([flat, busy])
    draws = [
        pool.draw(np.random.default_rng(seed), 200, covered_px=160, rescale=(0.8, 1.0), detail_chance=1.0).index
        for seed in range(40)
    ]
    assert sum(draws) > 30


def two_planes(height: int, width: int) -> np.ndarray:
    """Distance 1 on the left half, 4 on the right."""
    depth = np.full((height, width), 4.0, np.float32)
    depth[:, : width // 2] = 1.0
    return depth


def test_depth_and_its_inverse_mean_the_same() -> None:
    depth = two_planes(50, 60)
    far, near = DepthMaps({"a.png": depth}), DepthMaps({"a.png": 1.0 / depth}, "disparity")
    assert np.allclose(far.nearness("a.jpg", 100, 120), near.nearness("a.jpg", 100, 120))
    assert far.nearness("a.jpg", 100, 120)[0, [0, 59, 60, 119]].tolist() == [1.0, 1.0, 0.0, 0.0]
    with pytest.raises(OptionError, match="depth, disparity"):
        DepthMaps({}, "metres")


def test_unknown_depth_is_taken_from_the_neighbour() -> None:
    depth = two_planes(20, 20)
    depth[5:9, 2:4], depth[12] = 0.0, np.nan
    found = DepthMaps({"a": depth}).nearness("a.png", 20, 20)
    assert np.allclose(found, DepthMaps({"a": two_planes(20, 20)}).nearness("a.png", 20, 20))


def test_photos_without_a_fitting_map_are_skipped(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        write(tmp_path / "photos" / f"{name}.png", noise(140, 150))
    maps = tmp_path / "maps"
    write(maps / "a.tif", two_planes(70, 75))
    write(maps / "b.png", np.full((75, 70), 3, np.uint8))
    write(maps / "c.png", noise(140, 150))
    pool = PhotoPool(tmp_path / "photos", verify=True, depth=DepthMaps(maps))
    assert pool.names == ["a.png"]
    assert [line.split(":")[0] for line in pool.skipped] == ["b.png", "c.png", "d.png"]
    assert "another shape" in pool.skipped[0] and "one channel" not in pool.skipped[2]
    assert pool.skipped[2].endswith("no depth map of its name")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="no map in"):
        DepthMaps(tmp_path / "nothing")


@pytest.mark.parametrize("kind", ["npy", "pfm", "png", "tif"])
def test_maps_are_read_from_files(tmp_path: Path, kind: str) -> None:
    depth = two_planes(30, 40)
    depth[20:, :20] = 1.1
    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, depth)
    elif kind == "pfm":
        path.write_bytes(b"Pf\n40 30\n-1.0\n" + depth[::-1].astype("<f4").tobytes())
    elif kind == "png":
        codes = (depth * 1000).astype(np.uint16)
        pyvips.Image.new_from_array(codes, interpretation="grey16").write_to_file(str(path))
    else:
        write(path, depth)
    found = DepthMaps(tmp_path).nearness("a.jpg", 30, 40)
    assert found[3, [0, 19, 20, 39]].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert float(found[25, 0]) == pytest.approx((1 / 1.1 - 0.25) / 0.75, abs=0.01)


def test_a_measured_photo_is_blurred_by_its_map(photographs: list[np.ndarray], tmp_path: Path) -> None:
    write(tmp_path / "a.png", photographs[3])
    height, width = photographs[3].shape[:2]
    pool = PhotoPool(tmp_path, depth=DepthMaps({"a": two_planes(height, width)}))
    config = SimulatorConfig(
        crop_px=128, margin_px=16, scene=SceneConfig(composite=0.0, single=1.0, plane=0.0, identity=0.0)
    )
    simulator = Simulator(config, pool)
    parts = set()
    for seed in range(12):
        shot = simulator.plan(seed)
        parts.add(len(shot.surfaces))
        if len(shot.surfaces) == 2:
            far, near = (float(one.coc_px.mean()) for one in shot.surfaces)
            assert far > near  # what lies behind has the larger signed radius
    assert 2 in parts and parts <= {1, 2}  # crops of one half alone stay whole
