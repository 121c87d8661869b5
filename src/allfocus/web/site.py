"""The page as static files for the browser alone, with network, runtime and weights."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from allfocus.errors import InputError, OutputError, needs
from allfocus.scratch import ScratchFolder
from allfocus.weights import store

RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
PAGE = Path(__file__).parent / "static"
SMALLEST_TENSOR = 25_000
"""Tensors with fewer numbers stay float16: the first layers and the last, where 8 bits tell, take little room."""
TILE_PX = 640
"""What a browser's memory holds at once without trouble."""


def build(output: Path, model: str = store.DEFAULT, runtime: Path | None = None, *, overwrite: bool = False) -> int:
    """Write the site into a folder, which is made; gives its size in bytes.

    The files of onnxruntime-web are those of the folder `runtime`; npm fetches them when it is None.

    Raises:
        OutputError: the folder exists and `overwrite` is not set, or it cannot be written.
        InputError: the runtime lacks files, or npm cannot fetch it. MissingExtraError: onnx is not installed.
    """
    found = store.find(model)
    if output.exists() and not overwrite:
        raise OutputError(f"{output} already exists", "a new folder", "another -o, or --overwrite")
    network = smallest_graph(found)
    with ScratchFolder.temporary() as scratch:
        files = _runtime(runtime, scratch.path)
        try:
            shutil.copytree(PAGE, output, dirs_exist_ok=overwrite)
            (output / "js" / "service.js").unlink()
            (output / "js" / "engine.js").write_text("export * from './browser.js';\n")
            (output / "model").mkdir(exist_ok=True)
            (output / "model" / "network.onnx").write_bytes(network)
            (output / "model" / "card.json").write_text(json.dumps(_card(found), indent=1))
            (output / "ort").mkdir(exist_ok=True)
            for file in files:
                shutil.copy(file, output / "ort" / file.name)
            _stamp(output)
        except OSError as error:
            raise OutputError(
                f"{output} cannot be written ({error.strerror})", "a folder with free space", "another -o"
            ) from error
    return sum(file.stat().st_size for file in output.rglob("*") if file.is_file())


def smallest_graph(model: store.Model) -> bytes:
    """The network in one ONNX file with its large tensors in 8 bit, a scale for each first axis; float32 when loaded.

    The graph casts its stored tensors to float32; where a tensor is stored in 8 bit, a product with its scales follows,
    and a runtime folds both at load.
    """
    with needs("allfocus site", "site", "onnx"):
        import onnx
        from onnx import external_data_helper, helper, numpy_helper
    graph: Any = onnx.load(str(model.graph), load_external_data=False)
    external_data_helper.load_external_data_for_model(graph, str(model.graph.parent))
    nodes, tensors = [], {tensor.name: tensor for tensor in graph.graph.initializer}
    for node in graph.graph.node:
        tensor = tensors.get(node.input[0]) if node.op_type == "Cast" else None
        values = None if tensor is None else numpy_helper.to_array(tensor).astype(np.float32)
        if tensor is None or values is None or values.ndim < 2 or values.size < SMALLEST_TENSOR:
            nodes.append(node)
            continue
        largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scales = np.maximum(largest, 1e-12) / 127
        tensor.CopyFrom(numpy_helper.from_array(np.rint(values / scales).astype(np.int8), tensor.name))
        graph.graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), f"{tensor.name}.scales"))
        whole = f"{node.output[0]}.steps"
        nodes.append(helper.make_node("Cast", [tensor.name], [whole], to=onnx.TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [whole, f"{tensor.name}.scales"], [node.output[0]]))
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def _card(model: store.Model) -> dict[str, Any]:
    card = model.card
    about = {"name": card.name, "multiple": card.multiple, "context_px": card.context_px, "tile_px": TILE_PX}
    return {**about, "licence": card.licence, "sha256": card.sha256}


def _runtime(folder: Path | None, scratch: Path) -> list[Path]:
    """The runtime's files."""
    if folder is None:
        npm = shutil.which("npm")
        done = None if npm is None else _pack(npm, scratch)
        if done is None or done.returncode:
            cause = "npm is not installed" if done is None else done.stderr.strip().splitlines()[-1:]
            raise InputError(f"no {RUNTIME} ({cause})", "npm and a network", "--runtime DIR with its dist folder")
        with tarfile.open(next(scratch.glob("*.tgz"))) as archive:
            archive.extractall(scratch, filter="data")
        folder = scratch / "package" / "dist"
    files = [folder / name for name in RUNTIME_FILES]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise InputError(f"{folder} without {missing[0]}", f"the dist folder of {RUNTIME}", "another --runtime")
    return files


def _pack(npm: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([npm, "pack", RUNTIME], cwd=folder, capture_output=True, text=True, check=False)


def _stamp(output: Path) -> None:
    """The service worker's store is named after what it keeps, so that a new site replaces an old one."""
    digest = hashlib.sha256()
    for file in sorted(output.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    worker = output / "offline.js"
    worker.write_text(worker.read_text(encoding="utf-8").replace("VERSION", digest.hexdigest()[:12]))
