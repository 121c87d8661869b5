"""A graph file on OpenVINO in float32, from nothing: no cache, no card, no tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import allfocus.engine  # noqa: F401  silences what importing openvino would send

import openvino  # isort: skip

VERSION = f"OpenVINO {openvino.__version__.split('-')[0]}"


def run_graph(path: Path, pictures: Sequence[NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
    """Read an ONNX file or an OpenVINO pair and run it.

    Args:
        path: the .onnx or .xml file.
        pictures: for each input, in order.

    Returns:
        The outputs by each of their names.
    """
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(list(pictures))
    return {name: np.array(found[output]) for output in compiled.outputs for name in output.get_names()}
