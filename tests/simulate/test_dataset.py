"""Data sets on disk: DPDD's layout, continued after a stop, refused when mixed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import pyvips

from allfocus import atomic_file
from allfocus.data import dpdd
from allfocus.errors import DataError, OutputError
from allfocus.simulate.dataset import DatasetSpec, encoded, open_photos, write_dataset, write_preview
from allfocus.simulate.simulator import Simulator, SimulatorConfig

CONFIG = SimulatorConfig(crop_px=48, margin_px=16)


@pytest.fixture
def spec(photographs: list[np.ndarray], tmp_path: Path) -> DatasetSpec:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, pixels in enumerate(photographs[::2]):
        pyvips.Image.new_from_array(pixels).write_to_file(str(folder / f"{number}.png"))
    return DatasetSpec(tuple(open_photos(folder, CONFIG).paths), CONFIG, seed=40, count=3)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_stopped_run_continues_to_the_same_bytes(spec: DatasetSpec, tmp_path: Path) -> None:
    assert write_dataset(spec, tmp_path / "once") == 3
    assert write_dataset(dataclasses.replace(spec, count=2), tmp_path / "twice") == 2
    # As a kill leaves it: a picture half written beside its place, a sample without its parameters.
    (tmp_path / "twice" / "train_parameters" / "000001.json").unlink()
    (tmp_path / "twice" / "train_c" / "source" / "000001.png").write_bytes(b"half")
    (tmp_path / "twice" / "train_l" / "source" / ".allfocus-0a1b2c3d4e5f.part.png").write_bytes(b"ha")
    atomic_file._sweep.cache_clear()  # as in the process that continues
    steps: list[tuple[int, int]] = []
    assert write_dataset(spec, tmp_path / "twice", progress=lambda *step: steps.append(step)) == 2
    assert steps == [(2, 3), (3, 3)]
    assert files(tmp_path / "twice") == files(tmp_path / "once")
    assert write_dataset(spec, tmp_path / "twice") == 0


def test_the_layout_is_that_of_dpdd(spec: DatasetSpec, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_dataset(dataclasses.replace(spec, count=2), folder)
    write_dataset(dataclasses.replace(spec, count=1, seed=90, split="test"), folder)
    found = dpdd.load(folder, "train")
    assert [pair.name for pair in found] == ["000000", "000001"] and found.bits == 16
    assert len(dpdd.load(folder, "test")) == 1
    sample = Simulator(CONFIG, open_photos(spec.photos[0].parent, CONFIG)).sample([41])
    second = found.pairs[1]
    for picture, path in (
        ("centre", second.source),
        ("sharp", second.target),
        ("left", second.left),
        ("right", second.right),
    ):
        assert path is not None
        expected = getattr(sample, picture)[0].permute(1, 2, 0).numpy()
        assert np.abs(found.read(path) - expected).max() <= 0.51 / 65535
    with np.load(folder / "train_coc" / "000001.npz") as maps:
        assert np.array_equal(maps["coc"], sample.coc[0, 0].numpy())
        assert np.array_equal(maps["disparity"], sample.disparity[0, 0].numpy())
        assert maps["valid"].dtype == bool
    assert json.loads((folder / "train_parameters" / "000001.json").read_text())["seed"] == 41


def test_eight_bit_values_stay_exact(spec: DatasetSpec) -> None:
    sample = spec.simulator().sample([1])
    codes = pyvips.Image.new_from_buffer(encoded((sample.centre[0] * 255).round() / 255), "").numpy()
    assert not (codes % 257).any()


@pytest.mark.parametrize("change", [{"seed": 41}, {"config": SimulatorConfig(crop_px=48, margin_px=17)}])
def test_other_settings_do_not_mix(spec: DatasetSpec, tmp_path: Path, change: dict[str, object]) -> None:
    write_dataset(dataclasses.replace(spec, count=1), tmp_path / "set")
    with pytest.raises(DataError, match=f"made with other {next(iter(change))}"):
        write_dataset(dataclasses.replace(spec, **change), tmp_path / "set")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="photos"):
        write_dataset(dataclasses.replace(spec, photos=spec.photos[:2]), tmp_path / "set")


def test_a_place_that_cannot_be_written_is_refused(spec: DatasetSpec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be created"):
        write_dataset(spec, tmp_path / "file" / "set")


def test_preview_shows_the_samples(spec: DatasetSpec, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_dataset(spec, folder)
    picture = pyvips.Image.new_from_file(str(write_preview(spec, folder)))
    assert picture.width > 2 * 4 * 48 and picture.height > 2 * 48
    assert len(dpdd.load(folder, "train")) == 3


@pytest.mark.slow
def test_processes_do_not_change_the_files(spec: DatasetSpec, tmp_path: Path) -> None:
    write_dataset(spec, tmp_path / "one")
    write_dataset(spec, tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")
