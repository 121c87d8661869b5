from __future__ import annotations

from pathlib import Path

import pytest

from allfocus.baselines import registry
from allfocus.data.pairs import PairSet
from allfocus.errors import DataError, WeightsError
from allfocus.evaluate.cost import Cost, of_architecture
from allfocus.evaluate.methods import Scene, Wish


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


def test_baselines_plug_in(tiny: PairSet) -> None:
    pytest.importorskip("numba")
    method = Wish("ebdb").build(tiny)
    outcome = method.restore(Scene("scene0", tiny.read(tiny.pairs[0].source)))
    assert outcome.sharp.shape == (29, 37, 3)
    assert outcome.radius_px is not None and outcome.radius_px.shape == (29, 37)
    assert method.conditions.kind == "baseline"


@pytest.mark.parametrize("name", ["dmenet", "dpdnet-s", "dpdnet-d"])
def test_a_learnt_baseline_without_weights_says_so(
    tiny: PairSet, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path))
    try:
        Wish(name).build(tiny)
    except (WeightsError, DataError):
        return
    assert registry.require(name) is not None  # its weights ship


def test_costs_by_both_rules() -> None:
    cost = of_architecture({})
    assert cost.parameters == 10_476_996
    assert cost.macs_convolution is not None and round(cost.macs_convolution / 1e9, 3) == 361.507
    assert cost.macs_poster is not None and round(cost.macs_poster / 1e9, 1) == 362.9
    assert of_architecture({"no_such_argument": 1}) == Cost()


def test_a_folder_may_hold_whole_photos_of_cropped_scores(tiny: PairSet, tmp_path: Path) -> None:
    method = Wish(f"folder:{tiny.root / 'target'}").build(tiny)
    cropped = tiny.read(tiny.pairs[0].source)[:24, :32]
    assert method.restore(Scene("scene0", cropped)).sharp.shape == (24, 32, 3)
