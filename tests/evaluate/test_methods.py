from __future__ import annotations

from pathlib import Path

import pytest

from allfocus.baselines import registry
from allfocus.data.pairs import PairSet
from allfocus.errors import DataError, WeightsError
from allfocus.evaluate.method import MethodInput
from allfocus.evaluate.methods import MethodSpec


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        (MethodSpec("input"), "input"),
        (MethodSpec("ifan-fast"), "ifan-fast"),
        (MethodSpec("ifan-fast", engine="torch", precision="float32"), "ifan-fast@torch@float32"),
        (MethodSpec("ifan", scale="1", tile=512), "ifan@scale1@tile512"),
        (MethodSpec("runs/a b/best.safetensors"), "best"),
        (MethodSpec("folder:/results/DPDNet results"), "DPDNet_results"),
        (MethodSpec("dpdnet=folder:out/v1"), "dpdnet"),
    ],
)
def test_labels_are_file_names_that_tell_settings_apart(spec: MethodSpec, label: str) -> None:
    assert spec.label == label


def test_unknown_model_names_what_else_there_is(tiny: PairSet) -> None:
    with pytest.raises(WeightsError, match="ebdb, input, jnb, folder:PATH"):
        MethodSpec("ifann").build(tiny)


def test_baselines_plug_in(tiny: PairSet) -> None:
    pytest.importorskip("numba")
    method = MethodSpec("ebdb").build(tiny)
    outcome = method.restore(MethodInput("scene0", tiny.read(tiny.pairs[0].source)))
    assert outcome.sharp.shape == (29, 37, 3)
    assert outcome.radius_px is not None and outcome.radius_px.shape == (29, 37)
    assert method.conditions.kind == "baseline"


@pytest.mark.parametrize("name", ["dmenet", "dpdnet-s", "dpdnet-d"])
def test_a_learnt_baseline_without_weights_says_so(
    tiny: PairSet, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path))
    try:
        MethodSpec(name).build(tiny)
    except (WeightsError, DataError):
        return
    assert registry.find_weights(name) is not None  # its weights ship


def test_a_folder_may_hold_whole_photos_of_cropped_scores(tiny: PairSet, tmp_path: Path) -> None:
    method = MethodSpec(f"folder:{tiny.root / 'target'}").build(tiny)
    cropped = tiny.read(tiny.pairs[0].source)[:24, :32]
    assert method.restore(MethodInput("scene0", cropped)).sharp.shape == (24, 32, 3)
