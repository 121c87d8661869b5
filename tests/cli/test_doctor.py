from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from allfocus import compiled
from allfocus.checkpoints.release import release
from allfocus.cli.main import main
from allfocus.nets.registry import Architecture
from allfocus.weights import store

SMALL = Architecture(iterations=2, width=4, views=2)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user's folder, nothing shipped, and a cache of its own."""
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path / "own"))
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "own"


def test_it_measures_a_model(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    release(SMALL.build(0.1), SMALL, "mine", own, context_px=16)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--model", "mine", "--precision", "float32", "--json"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["speed"]["seconds_per_megapixel"] > 0
    assert (told["speed"]["model"], told["speed"]["precision"], told["problem"]) == ("mine", "float32", None)
    assert [engine["name"] for engine in told["engines"]] == ["openvino", "onnxruntime", "torch"]
    assert sum(engine["chosen"] for engine in told["engines"]) == 1
    assert told["processor"]["threads"] >= 1


def test_warm_compiles_every_model_beforehand(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    for name in ("mine", "yours"):
        release(SMALL.build(0.1), SMALL, name, own, context_px=16)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--model", "mine", "--precision", "float32", "--warm"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "mine is ready on openvino float32" in told
    assert "yours is ready on openvino float32" in told
    kept = [folder.name for folder in (own.parent / "cache" / "openvino").iterdir()]
    assert sorted(name.split("-")[0] for name in kept) == ["mine", "yours"]


def test_without_a_model_it_still_says_what_runs(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "AVAILABLE", False)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert "openvino     chosen" in told.out
    assert "numpy runs the loops over pixels" in told.out
    assert "problem: no model is called 'ifan-fast'" in told.err
