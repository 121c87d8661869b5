from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from allfocus.engine import openvino
from allfocus.engine.base import Estimate
from allfocus.engine.openvino import OpenVINOEngine
from allfocus.engine.torch import TorchEngine
from allfocus.errors import EngineError, EngineMemoryError
from allfocus.weights.store import Model

Photo = Callable[..., np.ndarray]
Models = dict[str, Model]
needs_bfloat16 = pytest.mark.skipif(
    openvino.unavailable("bfloat16") is not None, reason="no native bfloat16 on this processor"
)
CELLS = [(1, 1), (1, 7), (5, 1), (3, 5), (7, 13)]


def psnr_db(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean(np.square(found - wanted, dtype=np.float64)) + 1e-20))


@pytest.fixture(scope="module")
def started(models: Models, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[OpenVINOEngine, TorchEngine]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLFOCUS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {name: (OpenVINOEngine(one, "float32"), TorchEngine(one, "float32")) for name, one in models.items()}


@pytest.mark.parametrize("name", ["fast", "plain", "dual", "ablation"])
@pytest.mark.parametrize(("rows", "columns"), CELLS)
def test_float32_agrees_with_torch_on_every_size(started, models: Models, photo: Photo, name, rows, columns) -> None:
    engine, torch_engine = started[name]
    multiple = models[name].card.multiple
    size = (rows * multiple, columns * multiple)
    inputs = [photo(*size, batch=2)] + ([photo(*size, batch=2, channels=6)] if name == "dual" else [])
    found, wanted = engine.run(*inputs), torch_engine.run(*inputs)
    assert found.residual.shape == inputs[0].shape
    assert found.residual.dtype == np.float32
    np.testing.assert_allclose(found.residual, wanted.residual, atol=1e-4, rtol=0)
    if name == "ablation":
        assert found.disparity is None
    else:
        assert found.disparity is not None
        assert found.disparity.shape == (2, 1, rows, columns)
        np.testing.assert_allclose(found.disparity, wanted.disparity, atol=1e-4, rtol=0)


@needs_bfloat16
@pytest.mark.parametrize("name", ["fast", "plain"])
def test_bfloat16_stays_within_48_db_of_float32(started, models: Models, photo: Photo, name: str) -> None:
    batch = photo(112, 208)
    found = OpenVINOEngine(models[name], "bfloat16").run(batch).residual
    assert psnr_db(found, started[name][0].run(batch).residual) > 48
    low_bits = found.view(np.uint32) & 0xFFFF
    assert np.count_nonzero(low_bits) > 0.9 * low_bits.size  # the last layer's result is not rounded to bfloat16


def test_results_outlive_the_next_run(started, photo: Photo) -> None:
    engine = started["fast"][0]
    first = engine.run(photo(32, 32)).residual
    kept = first.copy()
    engine.run(photo(32, 48))
    engine.run(np.zeros((1, 3, 32, 32), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_strided_input_is_read_in_its_order(started, photo: Photo) -> None:
    engine = started["fast"][0]
    wide = photo(32, 64)
    view = wide[..., ::-1].transpose(0, 1, 3, 2)  # (1, 3, 64, 32), no copy
    np.testing.assert_array_equal(engine.run(view).residual, engine.run(np.ascontiguousarray(view)).residual)


def test_threads_wait_for_each_other(started, photo: Photo) -> None:
    engine = started["fast"][0]
    batches = [photo(16 * n, 32) for n in (1, 2, 3, 1, 2, 3)]
    wanted = [engine.run(batch).residual for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        for found, right in zip(pool.map(engine.run, batches), wanted, strict=True):
            np.testing.assert_array_equal(found.residual, right)


class Spoilt(OpenVINOEngine):
    """An engine whose first results are not finite."""

    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        estimate = super()._infer(inputs)
        estimate.residual[0, 0, 3, 4] = np.nan
        return estimate


@needs_bfloat16
def test_values_that_are_not_finite_are_computed_again_in_float32(fast: Model, started, photo: Photo) -> None:
    engine = Spoilt(fast, "bfloat16")
    found = engine.run(photo(32, 48))
    np.testing.assert_allclose(found.residual, started["fast"][0].run(photo(32, 48)).residual, atol=1e-6)
    assert engine.redone == 1
    engine.run(photo(32, 48))
    assert engine.redone == 2


def test_values_that_are_not_finite_in_float32_are_an_error(fast: Model, photo: Photo) -> None:
    with pytest.raises(EngineError, match="fast on openvino returned values that are not finite, even in float32"):
        Spoilt(fast, "float32").run(photo(32, 48))


def test_a_graph_that_cannot_be_read_is_an_error(fast: Model, tmp_path: Path) -> None:
    broken = tmp_path / "fast.onnx"
    broken.write_bytes(fast.graph.read_bytes()[:2000])
    with pytest.raises(EngineError, match=r"OpenVINO cannot load .*fast\.onnx"):
        OpenVINOEngine(Model(fast.card, fast.weights, broken), "float32")


def test_the_second_start_reads_the_cache(fast: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    assert not from_cache(OpenVINOEngine(fast, "float32"))
    (folder,) = (tmp_path / "openvino").iterdir()  # nothing else is left behind
    assert folder.name.startswith("fast-float32-")
    assert from_cache(OpenVINOEngine(fast, "float32"))


def test_a_broken_cache_is_dropped_and_made_again(
    fast: Model, photo: Photo, started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    OpenVINOEngine(fast, "float32")
    (blob,) = tmp_path.rglob("*.blob")
    blob.write_bytes(blob.read_bytes()[: blob.stat().st_size // 2])
    engine = OpenVINOEngine(fast, "float32")
    assert not from_cache(engine)
    np.testing.assert_allclose(
        engine.run(photo(32, 48)).residual, started["fast"][0].run(photo(32, 48)).residual, atol=1e-6
    )
    assert from_cache(OpenVINOEngine(fast, "float32"))


def test_a_cache_whose_weights_became_zeros_is_not_computed_with(
    fast: Model, photo: Photo, started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    OpenVINOEngine(fast, "float32")
    (blob,) = tmp_path.rglob("*.blob")
    data = bytearray(blob.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(4096)
    blob.write_bytes(data)
    engine = OpenVINOEngine(fast, "float32")
    assert not from_cache(engine)
    np.testing.assert_allclose(
        engine.run(photo(32, 48)).residual, started["fast"][0].run(photo(32, 48)).residual, atol=1e-6
    )


def test_half_finished_caches_of_killed_processes_are_swept(
    fast: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = platform.node()
    names = {
        "killed": f".fast-float32-00@{here}@{ended.pid}",
        "alive": f".fast-float32-00@{here}@{os.getpid()}",
        "elsewhere": f".fast-float32-00@not-{here}@{ended.pid}",
        "abandoned": f".fast-float32-01@not-{here}@{ended.pid}",
    }
    for name in names.values():
        (tmp_path / "openvino" / name).mkdir(parents=True)
    os.utime(tmp_path / "openvino" / names["abandoned"], (0, 0))
    OpenVINOEngine(fast, "float32")
    left = {path.name for path in (tmp_path / "openvino").iterdir()}
    assert {state for state, name in names.items() if name in left} == {"alive", "elsewhere"}


def test_a_new_version_of_a_model_replaces_the_old_cache(
    fast: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    old, other = (tmp_path / "openvino" / name for name in ("fast-float32-0123456789abcdef", "fast-er-float32-00"))
    old.mkdir(parents=True)
    other.mkdir()
    OpenVINOEngine(fast, "float32")
    assert not old.exists()
    assert other.exists()


def test_without_a_place_for_the_cache_it_runs_all_the_same(
    fast: Model, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path / "file"))
    assert OpenVINOEngine(fast, "float32").run(photo(16, 16)).residual.shape == (1, 3, 16, 16)


def from_cache(engine: OpenVINOEngine) -> bool:
    return bool(engine._compiled.get_property("LOADED_FROM_CACHE"))


@pytest.mark.parametrize("message", ["Failed to allocate 8388608 bytes of memory", "std::bad_alloc"])
def test_out_of_memory_has_its_own_error_and_the_engine_lives_on(fast: Model, photo: Photo, message: str) -> None:
    engine = OpenVINOEngine(fast, "float32")
    engine._request = Failing(RuntimeError(f"Exception from somewhere:\n{message}\n\n"))
    with pytest.raises(EngineMemoryError, match="no memory for a batch of 1x3x32x48"):
        engine.run(photo(32, 48))
    assert engine.run(photo(16, 16)).residual.shape == (1, 3, 16, 16)


def test_another_failure_is_told_in_one_line(fast: Model, photo: Photo) -> None:
    engine = OpenVINOEngine(fast, "float32")
    engine._request = Failing(RuntimeError("Exception from a.cpp:1:\nException from b.cpp:2:\nit broke\n\n"))
    with pytest.raises(EngineError, match=r"^OpenVINO failed \(it broke\)"):
        engine.run(photo(32, 48))


class Failing:
    """A request that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def infer(self, *arguments: object, **options: object) -> None:
        raise self.error


STARVED = """
import resource, sys
from pathlib import Path
import numpy as np
from allfocus.engine.openvino import OpenVINOEngine
from allfocus.errors import EngineMemoryError
from allfocus.weights.store import find

engine = OpenVINOEngine(find(sys.argv[1]), "float32")
small, large = (np.zeros((1, 3, side, side), np.float32) for side in (64, 2048))
engine.run(small)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20,) * 2)
try:
    engine.run(large)
except EngineMemoryError as error:
    print("refused", error.got)
print("then", engine.run(small).residual.shape)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_process_that_really_runs_out_of_memory_goes_on_with_smaller_tiles(fast: Model) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVED, str(fast.weights)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["refused no memory for a batch of 1x3x2048x2048", "then (1, 3, 64, 64)"]


WITHOUT_TORCH = """
import sys
for name in ("torch", "onnx", "onnxruntime", "safetensors"):
    sys.modules[name] = None
import numpy as np
from allfocus.engine.choose import choose, survey
from allfocus.weights.store import find
print(choose(find(sys.argv[1])).run(np.zeros((1, 3, 16, 16), np.float32)).residual.shape)
"""


def test_it_runs_where_torch_onnx_and_safetensors_are_missing(fast: Model) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(fast.weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.strip() == "(1, 3, 16, 16)"


def test_the_profile_holds_no_slow_layer(fast: Model, photo: Photo) -> None:
    """The head's rows are regrouped on the weights, so nothing is left to split, transpose or gather at run time."""
    compiled = OpenVINOEngine(fast, "float32")._compiled
    kinds = {node.get_rt_info()["layerType"].astype(str) for node in compiled.get_runtime_model().get_ops()}
    assert "Convolution" in kinds
    assert not kinds & {"Split", "VariadicSplit", "Transpose", "Gather", "SpaceToDepth", "Interpolate"}


def test_the_profile_accounts_for_all_the_time(fast: Model) -> None:
    found = openvino.profile(fast, "float32", 64, 96)
    assert (found["precision"], found["size"]) == ("float32", "96x64")
    assert 0 < sum(row["seconds"] for row in found["layers"]) <= found["seconds"] + 2e-3
    assert sum(row["seconds"] for row in found["kinds"]) == pytest.approx(found["seconds"], abs=2e-3)
    assert "Convolution" in {row["type"] for row in found["kinds"]}
    slowest = [row["seconds"] for row in found["layers"]]
    assert slowest == sorted(slowest, reverse=True)


def test_made_for_one_size_it_gives_the_same_and_is_kept(
    fast: Model, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    engine, batch = OpenVINOEngine(fast, "float32"), photo(64, 96)
    wanted = engine.run(batch)
    fitted = engine.fitted(64, 96)
    found = fitted.run(batch)
    np.testing.assert_allclose(found.residual, wanted.residual, atol=1e-5)
    assert engine.fitted(64, 96) is fitted
    np.testing.assert_allclose(
        engine.run(photo(48, 32)).residual, OpenVINOEngine(fast, "float32").run(photo(48, 32)).residual, atol=1e-5
    )
    np.testing.assert_array_equal(fitted.run(batch).residual, found.residual)  # after it had to rest
    assert from_cache(OpenVINOEngine(fast, "float32", (64, 96)))


def test_compiled_forms_of_few_sizes_are_kept(fast: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    monkeypatch.setattr("allfocus.engine.openvino.MOST_SIZES", 2)
    for height in (16, 32, 48):
        OpenVINOEngine(fast, "float32", (height, 64))
    OpenVINOEngine(fast, "float32")
    kept = sorted(path.name.split("-")[-3] for path in (tmp_path / "openvino").iterdir())
    assert [name for name in kept if name.startswith("64x")] == ["64x32", "64x48"]
    assert len(kept) == 3


def test_fewer_threads_give_the_same_bits(models: Models, photo: Photo, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path))
    whole = OpenVINOEngine(models["fast"], "float32")
    monkeypatch.setenv("ALLFOCUS_THREADS", "1")
    single = OpenVINOEngine(models["fast"], "float32")
    assert single.info.threads == 1
    np.testing.assert_array_equal(single.run(photo(64, 96)).residual, whole.run(photo(64, 96)).residual)
    assert len(list((tmp_path / "openvino").iterdir())) == 2  # a cache each: neither drops the other's


def test_nothing_is_sent_when_openvino_is_loaded() -> None:
    code = """
import socket, sys
import allfocus
def refuse(*arguments, **options): raise SystemExit("a connection")
socket.socket.connect = socket.getaddrinfo = refuse
import numpy as np
allfocus.deblur(np.zeros((32, 32, 3), np.uint8), engine="openvino")
from allfocus.checkpoints import proof
print([name for name in sys.modules if name.startswith("openvino_telemetry.")], "multiprocessing" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "[]"


def test_engines_of_fewer_threads_may_use_any_core(models: Models) -> None:
    engine = OpenVINOEngine(models["fast"], "float32", threads=1)
    assert engine.info.threads == 1
    assert engine._compiled.get_property("ENABLE_CPU_PINNING") is False  # else several would share the first cores


MANY_SIZES = """
import sys
import numpy as np
from allfocus.engine.openvino import OpenVINOEngine
from allfocus.weights.store import find

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4 // 1024

engine = OpenVINOEngine(find("ifan-fast"), "float32", threads=1)
sizes = [(64 + 16 * (index % 12), 64 + 16 * (index // 12)) for index in range(84)]
held = []
for index, (rows, columns) in enumerate(sizes):
    engine.run(np.zeros((1, 3, rows, columns), np.float32))
    if index in (39, 83):
        held.append(resident_mb())
print(held[1] - held[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_every_size_seen() -> None:
    grown = subprocess.run([sys.executable, "-c", MANY_SIZES], capture_output=True, text=True, timeout=120, check=True)
    assert int(grown.stdout) < 80  # MB for 44 more sizes: 44 as it is, 123 with OpenVINO's own limit


def test_two_models_are_never_cached_at_once(fast: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO changes the locale of the whole process meanwhile."""
    at_once, most = 0, 0

    class Core:
        def compile_model(self, *_: object) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            time.sleep(0.02)
            at_once -= 1

    monkeypatch.setattr(openvino, "core", Core)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: openvino._compile_with(fast, "float32", 1, None, tmp_path), range(3)))
    assert most == 1


FIRST_TYPES = """
import os, sys, threading
from allfocus.engine.openvino import core
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
def ask():
    together.wait()
    core()
    import openvino
    openvino.Type.f32.to_dtype()
threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
os._exit(sum(thread.is_alive() for thread in threads))
"""


def test_engines_that_start_at_the_same_moment_do_not_wait_for_each_other_for_ever() -> None:
    for _ in range(3):  # without the lock three in four runs hang
        assert subprocess.run([sys.executable, "-c", FIRST_TYPES], check=False).returncode == 0
