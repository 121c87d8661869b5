"""OpenVINO on the CPU: the engine that every install has."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.engine.base import EngineInfo, Estimate, LockedEngine, no_memory
from allfocus.engine.processor import Processor, is_arm, threads_wanted
from allfocus.errors import EngineError, EngineMemoryError, WeightsError, needs
from allfocus.folders import cache_folder
from allfocus.weights.ranges import ENOUGH_DB, Ranges
from allfocus.weights.store import INT8_SUFFIX, Model

NAME = "openvino"
_DEVICE = "CPU"
_CACHING = threading.Lock()
"""OpenVINO sets the locale of the process to "C" while it writes a cache; two at a time would leave it there."""
_FIRST_TYPE = threading.Lock()
"""Where two threads are the first to ask OpenVINO for numpy's name of a type, both wait for ever: one makes the table
of names and waits for Python's lock, the other holds that and waits for the table."""
SEAL = "sha256"
ABANDONED_SECONDS = 86_400
_BLOB, _DIGEST_BYTES = "int8.blob", 32
Size = tuple[int, int]
PROFILED_RUNS, PROFILED_LAYERS = 3, 40
MOST_SIZES = 8
"""Compiled forms for one size that are kept, over all models; 14 MB each in int8."""
KERNELS_KEPT = 160
"""Kernels that OpenVINO keeps, of the sizes seen last. Its own limit of 5,000 takes 8 MB for every size of tile."""
_HINTS = {"float32": "f32", "bfloat16": "bf16"}
_MEMORY_SIGNS = ("bad_alloc", "Failed to allocate", "out of memory", "out_of_memory")


def unavailable(precision: str = "auto", model: Model | None = None) -> str | None:
    """Why this engine cannot run here in this precision, or None if it can."""
    if find_spec("openvino") is None:
        return "openvino is not installed"
    if precision == "bfloat16" and not _has_bfloat16():
        return "this processor has neither AMX nor AVX512-BF16"
    if precision == "int8":
        if is_arm():
            return "OpenVINO's int8 gives wrong results on ARM"
        if model is not None and model.ranges() is None:
            return f"{model.card.name} has no int8 ranges (allfocus quantise makes them)"
    return None


def best_precision(model: Model | None = None) -> str:
    """The fastest of those that lose nothing to speak of.

    int8 where the processor has instructions for it (VNNI, AMX) and the model has ranges with which it comes close
    enough to float32; bfloat16 where that is multiplied natively (AMX, AVX512-BF16); else float32.
    """
    if model is not None and Processor.here().multiplies_int8 and not is_arm():
        ranges = model.ranges()
        if ranges is not None and ranges.psnr_db >= ENOUGH_DB:
            return "int8"
    return "bfloat16" if _has_bfloat16() else "float32"


def start(model: Model, precision: str = "auto", threads: int | None = None) -> OpenVINOEngine:
    """Load a model. EngineError: it cannot run here."""
    return OpenVINOEngine(model, best_precision(model) if precision == "auto" else precision, threads=threads)


class OpenVINOEngine(LockedEngine):
    """A model compiled once for every size of tile; the compiled form is kept on disk for the next process.

    Args:
        model: found and verified.
        precision: "float32", "bfloat16" or "int8"; in the latter two the network computes so (between convolutions,
            int8 goes on in bfloat16 where the processor has it), what comes out is float32.
        size: (height, width) of every batch to come, one picture each; None takes any. A network compiled for one size
            is an eighth faster and takes half the memory (benchmarks/speed_trials.json).
        threads: see `choose.choose`.

    Raises:
        EngineError: OpenVINO cannot read or compile the graph.
        WeightsError: int8 without ranges for these weights, or with damaged ones.
    """

    def __init__(self, model: Model, precision: str, size: Size | None = None, threads: int | None = None) -> None:
        self._model, self._precision, self._size = model, precision, size
        self._wanted = threads_wanted() if threads is None else threads
        self._load()
        used = int(self._compiled.get_property("INFERENCE_NUM_THREADS"))
        super().__init__(model, EngineInfo(NAME, _device_name(), precision, model.card.name, used))
        self._float32: OpenVINOEngine | None = None
        self._fitted: OpenVINOEngine | None = None

    def fitted(self, height: int, width: int) -> OpenVINOEngine:
        """See `FittingEngine.fitted`. The last one is kept: the next photo often has the same size."""
        with self._lock:
            self._request = self._compiled = None  # loaded again when it is asked; nothing less frees all its memory
            if self._fitted is None or self._fitted._size != (height, width):
                self._fitted = None
                self._fitted = OpenVINOEngine(self._model, self._precision, (height, width), self._wanted)
            return self._fitted

    def _rest(self) -> None:
        """Give back what the last batch took."""
        with self._lock:
            if self._request is not None:
                self._compiled.release_memory()

    def _infer_in_float32(self, inputs: list[np.ndarray]) -> Estimate:
        if self._float32 is None:
            self._float32 = OpenVINOEngine(self._model, "float32", threads=self._wanted)
        return self._float32.run(*inputs)

    def _load(self) -> None:
        self._compiled: Any = _compile(self._model, self._precision, self._wanted, self._size)
        self._request: Any = self._compiled.create_infer_request()

    def _infer(self, inputs: list[np.ndarray]) -> Estimate:
        card = self._model.card
        try:
            if self._fitted is not None:
                self._fitted._rest()
            if self._request is None:
                self._load()
            request: Any = self._request
            given = dict(zip(card.inputs, map(np.ascontiguousarray, inputs), strict=True))
            request.infer(given, share_inputs=True, share_outputs=True)  # else it copies what is copied below
            found = {name: np.array(request.get_tensor(name).data) for name in card.outputs}
        except (MemoryError, RuntimeError) as error:
            # a compiled model that failed half-way keeps its memory and mixes up sizes afterwards: load it afresh
            self._request = self._compiled = None
            if isinstance(error, MemoryError) or any(sign in str(error) for sign in _MEMORY_SIGNS):
                raise no_memory(inputs) from error
            raise EngineError(f"OpenVINO failed ({_last_line(error)})", "a result", "--engine torch") from error
        return Estimate(found["residual"], found.get("disparity"))


def _compile(model: Model, precision: str, threads: int | None, size: Size | None) -> Any:
    """The model compiled from scratch, or from the cache when the same was compiled before.

    OpenVINO writes its cache file in place and never repairs a broken one. So a new one is made in a folder of this
    process and moved when it is whole: two processes that start together cannot read each other's half. It is taken
    only if its bytes are those that were written then, for OpenVINO would compute with whatever it finds.
    """
    if precision == "int8":
        _ranges_of(model)
    kept = _kept_folder(model, precision, threads, size)
    _sweep(kept.parent)
    if kept.is_dir() and not _is_whole(kept):
        shutil.rmtree(kept, ignore_errors=True)
    if kept.is_dir():
        if precision == "int8":
            compiled = _imported(kept, threads)
        else:
            compiled = _compile_with(model, precision, threads, size, kept)
        if compiled is not None and (precision == "int8" or compiled.get_property("LOADED_FROM_CACHE")):
            return compiled
        shutil.rmtree(kept, ignore_errors=True)
        if compiled is not None:
            return compiled
    with _new_folder(kept) as folder:
        compiled = _compile_with(model, precision, threads, size, folder)
        if precision == "int8" and folder is not None:
            blob = compiled.export_model().getvalue()
            (folder / _BLOB).write_bytes(hashlib.sha256(blob).digest() + blob)
        return compiled


def _imported(kept: Path, threads: int | None) -> Any:
    """The int8 model as it was compiled before, or None if its file is broken."""
    try:
        stored = (kept / _BLOB).read_bytes()
        digest, blob = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if digest != hashlib.sha256(blob).digest():
            return None
        return core().import_model(blob, _DEVICE, _settings("int8", threads))
    except (OSError, RuntimeError):
        return None


def _settings(precision: str, threads: int | None) -> dict[str, Any]:
    hint = _HINTS[best_precision() if precision == "int8" else precision]
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": hint,
        "CPU_RUNTIME_CACHE_CAPACITY": KERNELS_KEPT,
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
        settings["ENABLE_CPU_PINNING"] = False  # else all engines of a machine would share its first cores
    return settings


def profile(model: Model, precision: str, height: int, width: int) -> dict[str, Any]:
    """Where the time of one picture goes: by kind of operation and in the slowest layers, in the quickest of some runs.

    Raises:
        EngineError: OpenVINO cannot read or compile the graph.
    """
    compiled = _compile_with(model, precision, None, (height, width), None, {"PERF_COUNT": True})
    random = np.random.default_rng(0)
    views = dict(zip(model.card.inputs, (1, 2), strict=False))
    batch = {name: random.random((1, 3 * count, height, width), dtype=np.float32) for name, count in views.items()}
    request = compiled.create_infer_request()
    runs = []
    for _ in range(1 + PROFILED_RUNS):
        request.infer(batch)
        runs.append([(one, one.real_time.total_seconds()) for one in request.get_profiling_info()])
    quickest = min(runs[1:], key=lambda run: sum(seconds for _, seconds in run))
    kinds: dict[tuple[str, str], list[float]] = {}
    for one, seconds in quickest:
        kinds.setdefault((one.node_type, one.exec_type), []).append(seconds)
    layers = sorted(((seconds, one) for one, seconds in quickest if seconds > 0), key=lambda row: -row[0])
    return {
        "name": model.card.name,
        "precision": precision,
        "size": f"{width}x{height}",
        "seconds": round(sum(seconds for _, seconds in quickest), 4),
        "kinds": [
            {"type": kind, "kernel": kernel, "count": len(times), "seconds": round(sum(times), 5)}
            for (kind, kernel), times in sorted(kinds.items(), key=lambda row: -sum(row[1]))
            if sum(times) > 0
        ],
        "layers": [
            {"name": one.node_name, "type": one.node_type, "kernel": one.exec_type, "seconds": round(seconds, 5)}
            for seconds, one in layers[:PROFILED_LAYERS]
        ],
    }


def _compile_with(
    model: Model,
    precision: str,
    threads: int | None,
    size: Size | None,
    folder: Path | None,
    more: dict[str, Any] | None = None,
) -> Any:
    settings = _settings(precision, threads) | (more or {})
    graph: Any = str(model.graph)
    try:
        if precision == "int8":
            graph = _int8_graph(model)
        elif folder is not None:
            settings["CACHE_DIR"] = str(folder)
        if size is not None:
            graph = core().read_model(graph) if isinstance(graph, str) else graph
            graph.reshape({name: [1, 3 * views, *size] for name, views in zip(model.card.inputs, (1, 2), strict=False)})
        with _CACHING if "CACHE_DIR" in settings else contextlib.nullcontext():
            return core().compile_model(graph, _DEVICE, settings)
    except RuntimeError as error:
        if any(sign in str(error) for sign in _MEMORY_SIGNS):
            raise EngineMemoryError(
                f"no memory to load {model.card.name}", "about 300 MB of free memory", "close other programs"
            ) from error
        raise EngineError(
            f"OpenVINO cannot load {model.graph} ({_last_line(error)})",
            "the graph that was released with the weights",
            "copy the model's three files again",
        ) from error


def _int8_graph(model: Model) -> Any:
    from allfocus.engine.int8 import build

    return build(model.graph, _ranges_of(model), half_range=not Processor.here().multiplies_int8)


def _ranges_of(model: Model) -> Ranges:
    ranges = model.ranges()
    if ranges is None:
        raise WeightsError(f"{model.card.name} has no int8 ranges", "NAME.int8 beside them", "allfocus quantise")
    return ranges


def _kept_folder(model: Model, precision: str, threads: int | None = None, size: Size | None = None) -> Path:
    """The cache of one model: of these weights, this graph, this OpenVINO and this processor."""
    import openvino

    known = [model.card.sha256, openvino.__version__, _device_name(), str(_capabilities())]
    contents = [model.graph.read_bytes()]
    if precision == "int8":
        known.append(str(Processor.here().multiplies_int8))
        contents.append(model.weights.with_suffix(INT8_SUFFIX).read_bytes())
    digest = hashlib.sha256("\n".join(known).encode() + b"".join(contents)).hexdigest()[:16]
    kind = precision if threads is None else f"t{threads}-{precision}"
    if size is not None:
        kind = f"{size[1]}x{size[0]}-{kind}"
    return cache_folder() / NAME / f"{model.card.name}-{kind}-{digest}"


@contextlib.contextmanager
def _new_folder(kept: Path) -> Iterator[Path | None]:
    """A folder that becomes `kept` at the end; None where nothing can be written. Drops older versions of it."""
    folder = kept.with_name(f".{kept.name}@{platform.node()}@{os.getpid()}")
    try:
        folder.mkdir(parents=True)
    except OSError:
        yield None
        return
    try:
        yield folder
        _seal(folder)
        for older in kept.parent.glob(f"{kept.name[:-16]}*"):
            shutil.rmtree(older, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was first
            folder.rename(kept)
        _forget_sizes(kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _forget_sizes(kept: Path) -> None:
    """Keep the newest `MOST_SIZES` of the caches that were compiled for one size."""
    with contextlib.suppress(OSError):
        fitted = sorted(kept.parent.glob("*-[0-9]*x[0-9]*-*"), key=lambda place: place.stat().st_mtime)
        for older in fitted[:-MOST_SIZES]:
            shutil.rmtree(older, ignore_errors=True)


def _seal(folder: Path) -> None:
    """Note what the files of a finished cache hold."""
    with contextlib.suppress(OSError):
        (folder / SEAL).write_text(_digest(folder), encoding="ascii")


def _is_whole(folder: Path) -> bool:
    """Whether a cache holds what it held when it was made (some 20 ms for 20 MB)."""
    try:
        return (folder / SEAL).read_text(encoding="ascii") == _digest(folder)
    except (OSError, ValueError):
        return False


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != SEAL:
            with path.open("rb") as file:
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _sweep(folder: Path) -> None:
    """Remove half-finished caches of killed processes: of this machine and no longer running, or a day old."""
    for place in folder.glob(".*@*@*"):
        _, machine, process = place.name.rsplit("@", 2)
        with contextlib.suppress(OSError, ValueError):
            ended = machine == platform.node() and os.name == "posix" and not _runs(int(process))
            if ended or time.time() - place.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(place, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def core() -> Any:
    """OpenVINO's `Core`, which knows the devices."""
    with needs("the OpenVINO engine", "openvino", "openvino"):
        import openvino
    with _FIRST_TYPE:
        openvino.Type.f32.to_dtype()
    return openvino.Core()


def _capabilities() -> list[str]:
    return sorted(core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))


def _has_bfloat16() -> bool:
    return "BF16" in _capabilities()


def _device_name() -> str:
    return " ".join(core().get_property(_DEVICE, "FULL_DEVICE_NAME").split())


def _last_line(error: Exception) -> str:
    return [line for line in str(error).splitlines() if line.strip()][-1].strip()
