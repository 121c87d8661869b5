"""Seeds in, quadruples out: determinism, settings, and blur radii as in DPDD."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allfocus.errors import OptionError
from allfocus.simulate.lens import LensConfig
from allfocus.simulate.photos import PhotoPool
from allfocus.simulate.scene import SceneConfig
from allfocus.simulate.sensor import SensorConfig
from allfocus.simulate.simulator import Quadruples, Simulator, SimulatorConfig
from allfocus.simulate.surface import visible_coc

SMALL = SimulatorConfig(crop_px=64, margin_px=16)
PICTURES = ("centre", "left", "right", "sharp", "coc", "disparity", "valid")
DPDD_RADIUS_PX = {0.25: 2.0, 0.50: 4.5, 0.75: 9.5, 0.90: 12.0, 0.95: 14.0}
"""Quantiles of the blur radius at 1680 px width, measured on windows of 14 DPDD scenes. The one at 10 % (1.5 px) is
left out: it is what the measurement finds in sharp places, and ours, 0.6 px, is what the scenes hold."""
TOLERANCE = 0.25


def digest(sample: Quadruples, index: int = 0) -> str:
    parts = [getattr(sample, name)[index].contiguous().cpu().numpy().tobytes() for name in PICTURES]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_a_seed_becomes_the_same_bytes_in_any_batch(pool: PhotoPool) -> None:
    simulator = Simulator(SMALL, pool)
    together = simulator.sample([4, 5, 6])
    alone = Simulator(SMALL, pool).sample([6])
    assert digest(together, 2) == digest(alone)
    assert together.parameters[2] == alone.parameters[0]
    assert digest(together, 0) != digest(together, 1)


def test_planning_and_developing_is_sampling(pool: PhotoPool) -> None:
    simulator = Simulator(SMALL, pool)
    assert digest(simulator.develop([simulator.plan(9)])) == digest(simulator.sample([9]))


def test_what_a_seed_draws_is_pinned(pool: PhotoPool) -> None:
    """A change here changes every data set: do it on purpose, and say so in the changelog."""
    simulator = Simulator(SMALL, pool)
    drawn = json.dumps([rounded(simulator.plan(seed).parameters) for seed in range(6)], sort_keys=True)
    assert hashlib.sha256(drawn.encode()).hexdigest()[:16] == "bb1c8524af751764"


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list | tuple) else value


def test_shapes_ranges_and_json(pool: PhotoPool) -> None:
    sample = Simulator(SMALL, pool).sample([0, 1])
    for name in ("centre", "left", "right", "sharp"):
        picture = getattr(sample, name)
        assert picture.shape == (2, 3, 64, 64) and picture.dtype == torch.float32
        assert float(picture.min()) >= 0.0 and float(picture.max()) <= 1.0
    assert sample.coc.shape == sample.disparity.shape == sample.valid.shape == (2, 1, 64, 64)
    assert sample.valid.dtype == torch.bool
    assert json.loads(json.dumps(sample.parameters))[1]["seed"] == 1


def test_disparity_is_half_kappa_coc(pool: PhotoPool) -> None:
    sample = Simulator(SMALL, pool).sample([3])
    lens = sample.parameters[0]["lens"]
    assert isinstance(lens, dict)
    assert torch.allclose(sample.disparity, sample.coc * lens["kappa"] / 2.0)


def test_identity_scenes_are_identical_where_nothing_is_noisy(pool: PhotoPool) -> None:
    scene = SceneConfig(composite=0.0, single=0.0, plane=0.0, identity=1.0)
    sensor = SensorConfig(clean_chance=1.0, shading_chance=0.0, mosaic_chance=0.0, jpeg_chance=0.0)
    lens = dataclasses.replace(SMALL.lens, lateral_ca_chance=0.0)
    sample = Simulator(dataclasses.replace(SMALL, scene=scene, sensor=sensor, lens=lens), pool).sample([0, 1])
    for view in (sample.centre, sample.left, sample.right):
        assert torch.allclose(view, sample.sharp, atol=1e-6)
    assert not sample.coc.any() and sample.valid.all()


@pytest.mark.parametrize("reductions", [(0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_reduced_pictures_show_the_same_scene(pool: PhotoPool, reductions: tuple[float, float, float]) -> None:
    sensor = SensorConfig(clean_chance=1.0, shading_chance=0.0, mosaic_chance=0.0, jpeg_chance=0.0, sharpen_chance=0.0)
    plain = dataclasses.replace(SMALL, sensor=sensor, reductions=(1.0, 0.0, 0.0))
    first, second = (Simulator(dataclasses.replace(plain, reductions=one), pool).sample([3]) for one in
                     (plain.reductions, reductions))  # fmt: skip
    assert second.parameters[0]["reduction"] == (2 if reductions[1] else 4)
    assert torch.equal(first.coc, second.coc) and first.centre.shape == second.centre.shape
    assert float((first.centre - second.centre).abs().mean()) < 0.02


@pytest.mark.parametrize("change", [{"linear_light": False}, {"occlusion": False}])
def test_simpler_renderings_draw_the_same_scenes(pool: PhotoPool, change: dict[str, bool]) -> None:
    plain, other = (Simulator(config, pool).sample([7]) for config in (SMALL, dataclasses.replace(SMALL, **change)))
    assert torch.equal(plain.coc, other.coc)
    assert plain.parameters == other.parameters
    assert not torch.equal(plain.centre, other.centre)


def test_rough_surfaces_change_the_blur_of_a_scene_and_nothing_else(pool: PhotoPool) -> None:
    planes = SceneConfig(rough_chance=1.0, composite=0.0, single=0.0, identity=0.0)
    rough = dataclasses.replace(SMALL, scene=planes, lens=LensConfig(field_curvature_px=0.0))
    flat = dataclasses.replace(rough, scene=dataclasses.replace(rough.scene, rough_chance=0.0))
    seeds = list(range(8))
    ones, others = Simulator(rough, pool).sample(seeds), Simulator(flat, pool).sample(seeds)
    for index in range(len(seeds)):
        heights = ones.parameters[index]["scene"].pop("rough")
        assert len(heights) == 1 and 0.02 <= heights[0] <= 0.2
        assert ones.parameters[index] == others.parameters[index]
        assert float(others.coc[index].std()) < 1e-5 < 1e-2 < float(ones.coc[index].std())


def test_settings_survive_json() -> None:
    config = dataclasses.replace(SMALL, resolution_scale=(0.5, 0.7))
    assert SimulatorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crop": 3}, "'crop'"),
        ({"scene": {"planes": 1}}, "'scene.planes'"),
        ({"lens": 3}, "'lens.'"),
        ({"lens": {"kappa": 0.8}}, r"'lens.kappa' 0.8; expected something like \(0.6, 1.0\)"),
        ({"lens": {"kappa": [0.8]}}, "'lens.kappa'"),
        ({"sensor": {"clean_chance": "often"}}, "'often'"),
        ({"crop_px": 64.5}, "64.5"),
        ({"scene": {"objects": [0, 0, 0, 0]}}, "objects"),
        ({"reductions": [0, 0, 0]}, "reductions"),
    ],
)
def test_wrong_settings_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        SimulatorConfig.from_dict(values)


def test_a_settings_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{")
    with pytest.raises(OptionError, match=r"settings\.json"):
        SimulatorConfig.load(path)


def blur_quantiles(simulator: Simulator, seeds: range) -> list[float]:
    """Quantiles of the radius of the blur that is seen, softness included, in px at 1680 px width."""
    inside = slice(simulator.config.margin_px + 4, -simulator.config.margin_px, 8)
    radii = []
    for seed in seeds:
        shot = simulator.plan(seed)
        coc_px = visible_coc(shot.surfaces)[inside, inside].flatten().numpy()
        resolution_scale = shot.parameters["resolution_scale"]
        assert isinstance(resolution_scale, float)
        radii.append(np.hypot(coc_px, shot.lens.softness_px) / resolution_scale)
    return np.quantile(np.concatenate(radii), list(DPDD_RADIUS_PX)).tolist()


def test_blur_radii_are_those_of_dpdd(pool: PhotoPool) -> None:
    """1,000 scenes as they are drawn, on a small crop: radii are in px and do not depend on it."""
    simulator = Simulator(SimulatorConfig(crop_px=64, margin_px=32), pool)
    assert blur_quantiles(simulator, range(1000)) == pytest.approx(list(DPDD_RADIUS_PX.values()), rel=TOLERANCE)


@pytest.mark.slow
def test_blur_radii_and_input_quality_of_whole_samples(shared_data: Path) -> None:
    """1,000 scenes at full size from real photos; the input PSNR of 200 of them lies in the window of the spec."""
    photos = sorted((shared_data / "sharp").glob("*.avif"))[::3]
    simulator = Simulator(SimulatorConfig(), PhotoPool(photos))
    assert blur_quantiles(simulator, range(1000)) == pytest.approx(list(DPDD_RADIUS_PX.values()), rel=TOLERANCE)
    errors = []
    for seed in range(200):
        sample = simulator.sample([seed])
        errors.append(float(((sample.centre - sample.sharp) ** 2).mean()))
    assert 22.5 <= float(np.mean(-10.0 * np.log10(np.maximum(errors, 1e-5)))) <= 26.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_pictures(pool: PhotoPool) -> None:
    seeds = [0, 1, 2, 3]
    clean = dataclasses.replace(SMALL, sensor=SensorConfig(jpeg_chance=0.0))
    here, there = (Simulator(clean, pool, device).sample(seeds) for device in ("cpu", "cuda"))
    assert torch.allclose(here.coc, there.coc.cpu(), atol=1e-3)
    assert float((here.centre - there.centre.cpu()).abs().mean()) <= 1e-4
