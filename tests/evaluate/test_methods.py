from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from allfocus.data.pairs import PairSet
from allfocus.errors import DataError, OptionError, WeightsError
from allfocus.evaluate.methods import Baseline, Scene, Wish, network_macs


@pytest.mark.parametrize(
    ("wish", "label"),
    [
        (Wish("input"), "input"),
        (Wish("ifan-fast"), "ifan-fast"),
        (Wish("ifan-fast", engine="torch", precision="float32"), "ifan-fast@torch@float32"),
        (Wish("ifan", scale="1", tile=512), "ifan@scale1@tile512"),
        (Wish("runs/a b/best.safetensors"), "best"),
        (Wish("folder:/results/DPDNet results"), "DPDNet_results"),
        (Wish("dpdnet=folder:out/v1"), "dpdnet"),
    ],
)
def test_labels_are_file_names_that_tell_settings_apart(wish: Wish, label: str) -> None:
    assert wish.label == label


def test_unknown_model_names_what_else_there_is(tiny: PairSet) -> None:
    with pytest.raises(WeightsError, match="ebdb, input, jnb, folder:PATH"):
        Wish("ifann").build(tiny)


def module(monkeypatch: pytest.MonkeyPatch, **functions: object) -> None:
    made = ModuleType("allfocus_drawn")
    for name, function in functions.items():
        setattr(made, name, function)
    monkeypatch.setitem(sys.modules, "allfocus_drawn", made)


def test_a_baseline_plugs_in_with_its_home(tiny: PairSet, monkeypatch: pytest.MonkeyPatch) -> None:
    module(
        monkeypatch,
        plain=lambda photo, left, right: photo / 2,
        mapped=lambda photo, left, right: (photo, np.ones(photo.shape[:2])),
    )
    photo = np.ones((8, 8, 3), np.float32)
    assert Baseline("p", "allfocus_drawn:plain", tiny).restore(Scene("a", photo)).sharp.max() == 0.5
    radius = Baseline("m", "allfocus_drawn:mapped", tiny).restore(Scene("a", photo)).radius_px
    assert radius is not None and radius.shape == (8, 8)
    with pytest.raises(DataError, match="needs dual-pixel views"):
        Baseline("dual", "allfocus_drawn:plain", tiny, views=True)
    with pytest.raises(OptionError, match="does not exist"):
        Baseline("x", "allfocus_drawn:nothing", tiny)
    with pytest.raises(OptionError, match="not part of this version"):
        Baseline("x", "allfocus.baselines.nowhere:x", tiny)


def test_macs_by_both_rules() -> None:
    convolution, poster = network_macs({})
    assert convolution is not None and poster is not None
    assert round(convolution / 1e9, 3) == 361.507
    assert round(poster / 1e9, 1) == 362.9
    assert network_macs({"no_such_argument": 1}) == (None, None)


def test_a_folder_may_hold_whole_photos_of_cropped_scores(tiny: PairSet, tmp_path: Path) -> None:
    method = Wish(f"folder:{tiny.root / 'target'}").build(tiny)
    cropped = tiny.read(tiny.pairs[0].source)[:24, :32]
    assert method.restore(Scene("scene0", cropped)).sharp.shape == (24, 32, 3)
