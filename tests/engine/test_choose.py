from __future__ import annotations

import pytest

from allfocus.engine import choose as choosing
from allfocus.engine import onnxruntime, openvino, torch
from allfocus.engine.choose import ENGINES, choose, survey
from allfocus.errors import EngineError, OptionError
from allfocus.weights.store import Model


def missing(monkeypatch: pytest.MonkeyPatch, *rooms: object) -> None:
    for room in rooms:
        monkeypatch.setattr(room, "unavailable", lambda precision="auto", model=None: "it was taken away")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "has_gpu", lambda: False)


def test_without_a_gpu_openvino_runs_in_the_best_precision(fast: Model) -> None:
    info = choose(fast).info
    assert (info.name, info.precision, info.model) == ("openvino", openvino.best_precision(), "fast")
    assert info.threads >= 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_named_engine_is_the_one_that_runs(fast: Model, engine: str) -> None:
    info = choose(fast, engine, "float32").info
    assert (info.name, info.precision) == (engine, "float32")


def test_a_gpu_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "has_gpu", lambda: True)
    monkeypatch.setattr(torch, "best_precision", lambda model=None: "bfloat16")
    found = {finding.name: finding for finding in survey()}
    assert found["torch"].chosen
    assert found["torch"].reason == "a GPU is here"
    assert found["openvino"].reason == "torch is faster here"


def test_the_next_one_takes_over(monkeypatch: pytest.MonkeyPatch, fast: Model) -> None:
    missing(monkeypatch, openvino)
    assert choose(fast).info.name == "onnxruntime"
    missing(monkeypatch, onnxruntime)
    assert choose(fast).info.name == "torch"
    missing(monkeypatch, torch)
    with pytest.raises(EngineError, match="no engine can run fast here") as refusal:
        choose(fast)
    assert all(f"{name}: it was taken away" in refusal.value.got for name in ENGINES)


def test_every_engine_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, onnxruntime)
    found = survey()
    assert [finding.name for finding in found] == list(ENGINES)
    assert [finding.name for finding in found if finding.chosen] == ["openvino"]
    assert found[0].reason == "the fastest here"
    assert found[1] == ("onnxruntime", False, False, "", "it was taken away")
    assert "second opinion" in found[2].reason


def test_a_precision_that_nothing_here_has_is_explained(monkeypatch: pytest.MonkeyPatch, fast: Model) -> None:
    monkeypatch.setattr(openvino, "_has_bfloat16", lambda: False)
    with pytest.raises(EngineError, match="openvino cannot run here: this processor has neither AMX nor AVX512-BF16"):
        choose(fast, "openvino", "bfloat16")
    assert openvino.best_precision() == "float32"


def test_unknown_names_are_refused(fast: Model) -> None:
    with pytest.raises(OptionError, match="engine 'tensorrt'; expected auto or one of openvino, onnxruntime, torch"):
        choose(fast, "tensorrt")
    with pytest.raises(OptionError, match="precision 'float16'; expected one of auto, float32, bfloat16, int8"):
        choose(fast, precision="float16")
    with pytest.raises(OptionError):
        survey("int4")


def test_every_engine_is_a_module_with_the_same_functions() -> None:
    for name in ENGINES:
        module = choosing._module_of(name)
        assert name == module.NAME
        assert all(callable(getattr(module, function)) for function in ("unavailable", "best_precision", "start"))
