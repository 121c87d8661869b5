"""The simulated benchmark: fixed scenes, checked when they are made, readable like any other set."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from allfocus.data import syndp
from allfocus.data.pairs import read_coc
from allfocus.errors import DataError
from allfocus.simulate.surface import visible_coc

pytest.importorskip("skimage")
BY_NAME = {item.name: item for item in syndp.items()}


def test_the_scenes_are_those_of_the_specification() -> None:
    wanted = syndp.items()
    assert len(wanted) == len(BY_NAME) == len({item.seed for item in wanted}) == 160
    groups = Counter(group for item in wanted for group in item.groups)
    assert groups["strata"] == 96 and groups["noisy"] == groups["clean"] == 48
    assert all(groups[stratum] == 16 for stratum in syndp.STRATA)
    assert all(groups[f"probe-{probe}"] == 8 for probe in syndp.PROBES)
    assert set(syndp.pins()) == set(BY_NAME)


def planned(name: str) -> torch.Tensor:
    """Signed radius of what is seen in a scene's crop."""
    item = BY_NAME[name]
    simulator = syndp._simulator("measured" if item.kind == "photo" else item.kind, item.probe)
    inside = slice(syndp.MARGIN_PX, syndp.MARGIN_PX + syndp.SIDE_PX)
    return visible_coc(syndp._shot(item, simulator).surfaces)[inside, inside]


@pytest.mark.parametrize("name", ["S1-07", "S3-02", "S4-04"])
def test_blur_is_that_of_the_stratum(name: str) -> None:
    low, high = syndp.STRATA[name[:2]]
    assert low <= float(torch.quantile(planned(name).abs().flatten()[::3], 0.9)) <= high * 1.02


def test_blur_before_focus_only() -> None:
    coc_px = planned("probe-front-1")
    assert float(coc_px.max()) < 1e-3 and float(coc_px.min()) < -3.0


def test_a_scene_is_what_it_was() -> None:
    item = BY_NAME["S1-03"]
    sample = syndp.render(item)
    syndp.check(item, sample)
    brighter = dataclasses.replace(sample, centre=sample.centre + 0.01)
    with pytest.raises(DataError, match=r"S1-03 is off by 0\.0100"):
        syndp.check(item, brighter)
    with pytest.raises(DataError, match="differs from version"):
        syndp.check(BY_NAME["S1-11"], sample)


@pytest.mark.slow
def test_every_scene_is_what_it_was() -> None:
    for item in syndp.items():
        syndp.check(item, syndp.render(item))


def test_places_without_one_radius_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, coc=np.full((2, 3), -4.0), valid=np.array([[True, False, True]] * 2))
    found = read_coc(path, 2, 3)
    assert np.isnan(found[:, 1]).all() and (found[:, [0, 2]] == -4.0).all()
    np.savez(path, coc=np.full((2, 3), -4.0))
    assert not np.isnan(read_coc(path, 2, 3)).any()
    with pytest.raises(DataError, match=r"\(2, 3\)"):
        read_coc(path, 3, 2)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        read_coc(path, 2, 3)


def test_making_continues_and_groups_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(dataclasses.replace(BY_NAME[name], name=name) for name in ("S0-03", "S1-03", "probe-jpeg-0"))
    sample = dataclasses.replace(syndp.render(BY_NAME["S0-03"]), parameters=[{"seed": 1}])
    small = dataclasses.replace(
        sample, **{name: getattr(sample, name)[..., :16, :24] for name in ("centre", "left", "right", "sharp")},
        **{name: getattr(sample, name)[..., :16, :24] for name in ("coc", "disparity", "valid")},
    )  # fmt: skip
    made: list[str] = []
    monkeypatch.setattr(syndp, "items", lambda: few)
    monkeypatch.setattr(syndp, "check", lambda item, _: made.append(item.name))
    monkeypatch.setattr(syndp, "render", lambda _: small)
    found = syndp.load(tmp_path / "set")
    assert made == ["S0-03", "S1-03", "probe-jpeg-0"]
    assert [pair.groups[:2] for pair in found] == [("strata", "S0"), ("strata", "S1"), ("probe-jpeg",)]
    assert found.bits == 16 and found.pairs[0].left is not None
    assert found.pairs[0].coc is not None
    assert np.allclose(read_coc(found.pairs[0].coc, 16, 24), small.coc[0, 0].numpy())
    assert found.edition == str(syndp.VERSION)
    (tmp_path / "set" / "test_parameters" / "S1-03.json").unlink()
    syndp.load(tmp_path / "set")
    assert made[3:] == ["S1-03"]
    stamp = tmp_path / "set" / syndp.STAMP
    stamp.write_text(json.dumps({"name": "SynDP", "version": syndp.VERSION - 1}))
    with pytest.raises(DataError, match="holds version 1 of SynDP"):
        syndp.load(tmp_path / "set")
    stamp.write_text("{")
    with pytest.raises(DataError, match=r"syndp\.json cannot be read"):
        syndp.load(tmp_path / "set")
