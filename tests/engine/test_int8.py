from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allfocus.engine import choose as choosing
from allfocus.engine import openvino, processor
from allfocus.engine.int8 import ACTIVATION_LEVELS, build, measure, quantise, with_exact_zero
from allfocus.engine.openvino import OpenVINOEngine
from allfocus.errors import EngineError, OptionError, WeightsError
from allfocus.weights.ranges import Ranges
from allfocus.weights.store import Model

Photo = Callable[..., np.ndarray]
pytestmark = pytest.mark.skipif(processor.is_arm(), reason="int8 is not offered on ARM")


@pytest.fixture(scope="module")
def quantised(models: dict[str, Model], photo: Photo, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A copy of the small fast model with ranges measured on random pictures."""
    folder = tmp_path_factory.mktemp("int8")
    for path in models["fast"].weights.parent.glob("fast.*"):
        shutil.copy(path, folder)
    model = Model.beside(folder / "fast.json")
    pictures = [photo(48, 16 * count)[0] for count in range(1, 7)]
    quantise(model, pictures[:4], pictures[4:]).write(folder / "fast.int8")
    return model


def psnr_db(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean(np.square(found - wanted, dtype=np.float64)) + 1e-20))


@given(st.floats(-1e3, 0), st.floats(1e-4, 1e3))
def test_zero_is_a_level(low: float, high: float) -> None:
    bottom, top = with_exact_zero(low, high)
    step = (top - bottom) / (ACTIVATION_LEVELS - 1)
    assert bottom / step == pytest.approx(round(bottom / step), abs=1e-6)
    assert abs(bottom - low) <= 0.5001 * step
    assert abs(top - high) <= 0.5001 * step


def test_ranges_hold_what_every_convolution_reads(fast: Model, photo: Photo) -> None:
    ranges = measure(fast.graph, [photo(16, 32)[0]])
    assert all(low <= 0 < high for low, high in ranges.values())
    assert sum(pair == (0.0, 1.0) for pair in ranges.values()) == 2  # both encoders read the photo
    wider = measure(fast.graph, [photo(16, 32)[0], 0 * photo(16, 32)[0]])
    first = next(name for name, pair in ranges.items() if pair != (0.0, 1.0))
    assert wider[first][1] < ranges[first][1]  # a mean over pictures


@pytest.mark.parametrize("size", [(16, 16), (16, 112), (80, 48)])
def test_int8_comes_close_to_float32_on_every_size(quantised: Model, photo: Photo, size: tuple[int, int]) -> None:
    exact = OpenVINOEngine(quantised, "float32").run(photo(*size))
    found = OpenVINOEngine(quantised, "int8").run(photo(*size))
    assert found.residual.shape == exact.residual.shape
    assert psnr_db(found.residual, exact.residual) > 50
    assert not np.array_equal(found.residual, exact.residual)


def test_it_computes_in_8_bit(quantised: Model) -> None:
    compiled = OpenVINOEngine(quantised, "int8")._compiled
    nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = [n["runtimePrecision"].astype(str) for n in nodes if n["layerType"].astype(str) == "Convolution"]
    assert sum(kind in ("u8", "i8") for kind in kinds) > 0.9 * len(kinds)


def test_the_second_start_reads_the_cache_and_drops_a_broken_one(
    quantised: Model, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    wanted = OpenVINOEngine(quantised, "int8").run(photo(32, 48)).residual
    (blob,) = tmp_path.rglob("*.blob")
    with monkeypatch.context() as patch:
        patch.setattr(openvino, "_int8_graph", lambda model: pytest.fail("built again"))
        np.testing.assert_array_equal(OpenVINOEngine(quantised, "int8").run(photo(32, 48)).residual, wanted)
    blob.write_bytes(blob.read_bytes()[:-100])
    np.testing.assert_array_equal(OpenVINOEngine(quantised, "int8").run(photo(32, 48)).residual, wanted)


def test_other_ranges_are_compiled_anew(quantised: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = quantised.ranges()
    assert ranges is not None
    before = openvino._kept_folder(quantised, "int8")
    path = quantised.weights.with_suffix(".int8")
    kept = path.read_bytes()
    replace(ranges, crops=99).write(path)
    assert openvino._kept_folder(quantised, "int8") != before
    path.write_bytes(kept)


def test_auto_takes_int8_only_where_it_is_fast_and_close(quantised: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def precision(multiplies: bool, psnr: float, arm: bool = False) -> str:
        features = ("avx512_vnni",) if multiplies else ("avx2",)
        with monkeypatch.context() as patch:
            patch.setattr(openvino.Processor, "here", classmethod(lambda cls: processor.Processor("x", 1, features)))
            patch.setattr(openvino, "is_arm", lambda: arm)
            patch.setattr(openvino, "_has_bfloat16", lambda: False)
            found = quantised.ranges()
            assert found is not None
            patch.setattr(Model, "ranges", lambda self: replace(found, psnr_db=psnr))
            return openvino.best_precision(quantised)

    assert precision(True, 55.0) == "int8"
    assert precision(True, 49.9) == "float32"
    assert precision(False, 55.0) == "float32"
    assert precision(True, 55.0, arm=True) == "float32"


def test_without_ranges_int8_is_refused_with_the_reason(fast: Model, models: dict[str, Model], photo: Photo) -> None:
    with pytest.raises(EngineError, match="fast has no int8 ranges"):
        choosing.choose(fast, precision="int8")
    with pytest.raises(WeightsError, match="has no int8 ranges"):
        OpenVINOEngine(fast, "int8")
    with pytest.raises(OptionError, match="network of two views"):
        quantise(models["dual"], [], [])
    assert openvino.best_precision(fast) == openvino.best_precision()


def test_on_arm_int8_is_refused(quantised: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "is_arm", lambda: True)
    with pytest.raises(EngineError, match="wrong results on ARM"):
        choosing.choose(quantised, "openvino", "int8")


def test_ranges_of_another_graph_are_refused(quantised: Model) -> None:
    with pytest.raises(WeightsError, match=r"the ranges name nowhere, which .*fast\.onnx lacks"):
        build(quantised.graph, Ranges("0" * 64, {"nowhere": (0.0, 1.0)}, 1, 60.0, 60.0), half_range=False)


WITHOUT_VNNI = """
import sys
from pathlib import Path
import numpy as np
from allfocus.engine import openvino, processor
from allfocus.weights.store import find

openvino._has_bfloat16 = lambda: False
openvino.Processor.here = classmethod(lambda cls: processor.Processor("x", 1, ("avx2",)))
model = find(sys.argv[1])
photo = np.random.default_rng(0).random((1, 3, 48, 64), dtype=np.float32)
exact, found = (openvino.OpenVINOEngine(model, one).run(photo).residual for one in ("float32", "int8"))
print(-10 * np.log10(np.mean(np.square(exact - found))))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="oneDNN's limit is tried on Linux")
def test_sums_do_not_saturate_without_vnni(quantised: Model, tmp_path: Path) -> None:
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ALLFOCUS_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_VNNI, str(quantised.weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert float(done.stdout) > 50
