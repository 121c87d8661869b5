from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from allfocus.data import registry
from allfocus.data.pairs import PairSet
from allfocus.errors import DataError, InputError
from allfocus.evaluate import methods
from allfocus.evaluate.method import Conditions, MethodInput, Outcome
from allfocus.evaluate.methods import MethodSpec
from allfocus.evaluate.radius import by_radius, pooled
from allfocus.evaluate.rows import read_summary
from allfocus.evaluate.run import EvaluationOptions, evaluate
from allfocus.evaluate.strata import strata
from allfocus.evaluate.tables import read_results

NO_SHARP = {"sharp_pixels": "0", "sharp_mse_input": "0", "sharp_mse": "0"}


def _blurred(picture: np.ndarray, radius: int) -> np.ndarray:
    """The mean over a square of 2 * radius + 1 px, edges repeated."""
    side = 2 * radius + 1
    padded = np.pad(picture, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))
    return windows.mean(axis=(-2, -1), dtype=np.float64).astype(np.float32)


def test_every_known_pixel_is_in_one_bin() -> None:
    generator = np.random.default_rng(0)
    coc = generator.uniform(-30, 30, (17, 23)).astype(np.float32)
    coc[0, :5] = np.nan
    picture, source, target = (generator.random((17, 23, 3)).astype(np.float32) for _ in range(3))
    bins = by_radius(picture, source, target, coc, np.abs(coc) + 1)
    assert sum(one.pixels for one in bins) == 17 * 23 - 5
    known = ~np.isnan(coc)
    total = sum(one.mse * one.pixels for one in bins) / (17 * 23 - 5)
    assert total == pytest.approx(((picture - target)[known] ** 2).mean(), rel=1e-5)
    assert all(one.map_error_px == pytest.approx(1, abs=1e-5) for one in bins)


def test_what_is_not_sharp_in_the_sharp_picture_is_counted_apart() -> None:
    blocks = np.random.default_rng(0).random((12, 24, 1), dtype=np.float32)
    target = blocks.repeat(8, axis=0).repeat(8, axis=1).repeat(3, axis=2)
    target[:, 96:] = _blurred(target[:, 96:], 4)
    source, picture = target + np.float32(0.1), target.copy()
    picture[:, 120:] += np.float32(0.2)  # wrong only well inside of what is blurred in the sharp picture
    (only,) = by_radius(picture, source, target, np.zeros((96, 192), np.float32))
    assert only.pixels == 96 * 192
    assert 0.7 * 96 * 96 < only.sharp_pixels < 96 * 96
    assert only.sharp_mse_input == pytest.approx(0.01, rel=1e-3)
    assert only.sharp_mse == pytest.approx(0, abs=1e-9)
    assert only.mse == pytest.approx(0.04 * 72 / 192, rel=1e-3)


def test_pooling_weighs_by_pixels() -> None:
    rows = [
        {"from_px": "1", "to_px": "2", "pixels": "30", "mse_input": "0.01", "mse": "0.001", "map_error_px": ""}
        | NO_SHARP,
        {"from_px": "1", "to_px": "2", "pixels": "10", "mse_input": "0.05", "mse": "0.001", "map_error_px": "0.5"}
        | {"sharp_pixels": "4", "sharp_mse_input": "0.002", "sharp_mse": "0.001"},
        {"from_px": "20", "to_px": "inf", "pixels": "1", "mse_input": "0", "mse": "0", "map_error_px": ""} | NO_SHARP,
    ]
    first, last = pooled(rows)
    assert first["psnr_input"] == pytest.approx(-10 * math.log10(0.02))
    assert first["gain"] == pytest.approx(10 * math.log10(20))
    assert (first["pixels"], first["map_error_px"]) == (40, 0.5)
    assert first["gain_sharp"] == pytest.approx(10 * math.log10(2))
    assert (first["sharp_pixels"], last["gain_sharp"]) == (4, None)
    assert (last["gain"], last["to_px"]) == (0.0, math.inf)


class Half:
    """Goes half of the way; harms nothing. Can be told to fail at a scene."""

    upright = True
    fails_at = ""

    def __init__(self, spec: MethodSpec, pairs: PairSet) -> None:
        self.label, self.pairs, self.conditions = spec.label, pairs, Conditions("baseline")

    def restore(self, given: MethodInput) -> Outcome:
        if given.name == Half.fails_at:
            raise InputError("no light", "some", "a lamp")
        target = next(pair.target for pair in self.pairs if pair.name == given.name)
        assert target is not None
        radius_px = np.full(given.photo.shape[:2], 3.0, np.float32) if given.with_map else None
        return Outcome((given.photo + self.pairs.read(target)) / 2, radius_px)


@pytest.fixture
def simulated(tiny: PairSet, tmp_path: Path) -> PairSet:
    """The tiny set as a simulated one: left half in focus, right half blurred by 3 px."""
    root = tmp_path / "syndp"
    for part in ("source", "target"):
        (root / "test_c").mkdir(parents=True, exist_ok=True)
        (tiny.root / part).rename(root / "test_c" / part)
    (root / "test_coc").mkdir()
    coc = np.zeros((29, 37), np.float16)
    coc[:, 20:] = -3
    for index in range(3):
        np.savez_compressed(root / "test_coc" / f"scene{index}.npz", coc=coc)
    (root / "groups.csv").write_text("name,group\nscene0,S1\nscene1,S2\nscene2,S2\n")
    return registry.load("syndp", root)


def test_gain_and_map_by_true_radius(simulated: PairSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods.REGISTRY, "half", Half)
    monkeypatch.setenv("ALLFOCUS_LPIPS", "/nonexistent")
    for folder, fails_at in (("whole", ""), ("twice", "scene1"), ("twice", "")):
        monkeypatch.setattr(Half, "fails_at", fails_at)
        try:
            list(evaluate(simulated, [MethodSpec("half")], EvaluationOptions(output=tmp_path / folder, maps=True)))
        except InputError:
            assert fails_at
    whole, twice = (tmp_path / name / "syndp-test" for name in ("whole", "twice"))
    for name in ("half.csv", "half.radius.csv"):
        assert (whole / name).read_bytes() == (twice / name).read_bytes()
    focus, blurred = read_summary(whole / "half.json")["by_radius"]
    assert (focus["from_px"], focus["to_px"], focus["pixels"]) == (0, 0.5, 3 * 29 * 20)
    assert focus["gain"] == pytest.approx(20 * math.log10(2), abs=0.01)
    assert focus["map_error_px"] == pytest.approx(3) and blurred["map_error_px"] == pytest.approx(0)
    assert read_summary(whole / "half.json")["scores"]["reblur"] is not None
    groups, radii, sharp, maps = strata(read_results(tmp_path / "whole"))
    assert [column.metric for column in groups.columns] == ["S1", "S2"]
    assert [cell.ours_text for cell in radii.lines[0].cells] == ["6.02", "6.02"]
    assert sharp.name.startswith("radius-sharp") and len(sharp.columns) == len(radii.columns)
    assert [cell.ours_text for cell in maps.lines[0].cells] == ["3.00", "0.00"]


def test_maps_are_checked(simulated: PairSet) -> None:
    first = simulated.pairs[0]
    assert first.coc is not None
    first.coc.unlink()
    with pytest.raises(DataError, match=r"lacks scene0\.npz \(1 of 3\)"):
        registry.load("syndp", simulated.root)


def test_a_map_of_another_size_is_refused(simulated: PairSet, tmp_path: Path) -> None:
    first = simulated.pairs[0]
    assert first.coc is not None
    np.savez(first.coc, coc=np.zeros((3, 4), np.float16))
    with pytest.raises(DataError, match=r"scene0: .* has shape \(3, 4\)"):
        list(evaluate(simulated, [MethodSpec("input")], EvaluationOptions(output=tmp_path / "out", lpips=None)))
    first.coc.write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        list(evaluate(simulated, [MethodSpec("input")], EvaluationOptions(output=tmp_path / "out2", lpips=None)))
