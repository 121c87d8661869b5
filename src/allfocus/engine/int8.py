"""The int8 network: made from the float graph and the ranges of its activations while it is loaded, never stored.

Each convolution that has a range reads 8-bit integers (asymmetric, one range for all channels) and has 8-bit weights
(symmetric, one range an output channel); what it gives is float again, and so is everything between convolutions.
Transposed convolutions stay float: OpenVINO computes them so at these sizes anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allfocus.errors import OptionError, WeightsError
from allfocus.weights.ranges import Ranges
from allfocus.weights.store import Model

KIND = "Convolution"
FLOAT = ("feature_extractor.levels.0.1.", "decoder.out.")
"""Convolutions for which no range is measured, so that they stay float: every detail passes through them.
A thirtieth of the arithmetic of `ifan-fast`, they bring its agreement with float32 from 50.7 to 55.3 dB
(`int8_float_layers` in benchmarks/speed_trials.json)."""
ACTIVATION_LEVELS, WEIGHT_LEVELS = 256, 255
PHOTO = (0.0, 1.0)
KEPT = 0.9
"""Of the range: where its rarest values are cut, the steps between all others are finer."""


def read_folded(graph: Path) -> Any:
    """The ov.Model of a graph, all that depends on weights alone computed: each convolution has constant weights."""
    import openvino
    from openvino.passes import ConstantFolding, Manager

    model = openvino.Core().read_model(graph)
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    return model


def build(graph: Path, ranges: Ranges, *, half_range: bool) -> Any:
    """The ov.Model that OpenVINO compiles to int8.

    Args:
        graph: the ONNX file of a released model.
        ranges: measured with its weights.
        half_range: weights use 7 of the 8 bits. Needed without VNNI or AMX, where sums of two products of 8-bit
            numbers are cut to 16 bits on the way.

    Raises:
        WeightsError: the ranges name convolutions that the graph lacks.
    """
    from openvino import opset13 as operations

    model = read_folded(graph)
    nodes = {node.get_friendly_name(): node for node in _convolutions(model)}
    missing = ranges.activations.keys() - nodes.keys()
    if missing:
        raise WeightsError(
            f"the ranges name {sorted(missing)[0]}, which {graph} lacks",
            "ranges that were measured on this graph",
            "allfocus quantise",
        )
    made: dict[Any, Any] = {}
    for name, (low, high) in ranges.activations.items():
        node = nodes[name]
        source = node.input_value(0)
        key = (source.get_node().get_friendly_name(), source.get_index(), low, high)
        if key not in made:
            ends = [np.full((1, 1, 1, 1), end, np.float32) for end in with_exact_zero(low, high)]
            made[key] = operations.fake_quantize(source, *ends, *ends, ACTIVATION_LEVELS)
        node.input(0).replace_source_output(made[key].output(0))
        weight = node.input_value(1)
        largest = np.abs(weight.get_node().get_data()).max(axis=(1, 2, 3), keepdims=True)
        largest = np.maximum(largest.astype(np.float32), np.float32(1e-8)) * np.float32(2 if half_range else 1)
        rounded = operations.fake_quantize(weight, -largest, largest, -largest, largest, WEIGHT_LEVELS)
        node.input(1).replace_source_output(rounded.output(0))
    return model


def with_exact_zero(low: float, high: float) -> tuple[float, float]:
    """The range moved by less than a step so that zero is one of its 256 levels: OpenVINO rounds it there anyway."""
    step = (high - low) / (ACTIVATION_LEVELS - 1)
    below = round(-low / step)
    return -below * step, (ACTIVATION_LEVELS - 1 - below) * step


def measure(graph: Path, pictures: Iterable[NDArray[np.float32]]) -> dict[str, tuple[float, float]]:
    """What each convolution reads: mean over the pictures of the lowest and of the highest value, times `KEPT`.

    The mean of the extremes, as post-training quantisation usually takes it, gives single outliers no say. Zero is
    always inside, so that the padding of a convolution is exact; a photo is taken as 0 to 1.

    Args:
        graph: the ONNX file of a released model of one view.
        pictures: (3, H, W) each, in [0, 1], sides multiples of the network's.

    Returns:
        Convolution -> (low, high), but for those that stay float.
    """
    import openvino
    from openvino import opset13 as operations

    model = read_folded(graph)
    convolutions = [node for node in _convolutions(model) if not node.get_friendly_name().startswith(FLOAT)]
    axes = np.arange(4)
    sources, results = {}, []
    for node in convolutions:
        source = node.input_value(0)
        key = (source.get_node().get_friendly_name(), source.get_index())
        if key not in sources:
            sources[key] = len(results) // 2
            for reduce in (operations.reduce_min, operations.reduce_max):
                results.append(operations.result(reduce(source, axes, keep_dims=False)))
    photo = {parameter.get_friendly_name() for parameter in model.get_parameters()}
    compiled = _compiled(openvino.Model(results, model.get_parameters()))  # pyright: ignore[reportGeneralTypeIssues]
    extremes = []
    for picture in pictures:
        found = compiled([np.ascontiguousarray(picture[None])])
        extremes.append([float(found[index]) for index in range(len(results))])
    means = KEPT * np.mean(extremes, axis=0)
    ranges = {}
    for node in convolutions:
        source = node.input_value(0)
        key = (source.get_node().get_friendly_name(), source.get_index())
        low, high = means[2 * sources[key]], means[2 * sources[key] + 1]
        ranges[node.get_friendly_name()] = PHOTO if key[0] in photo else (min(float(low), 0.0), max(float(high), 1e-6))
    return ranges


def quantise(model: Model, pictures: Iterable[NDArray[np.float32]], held_back: Sequence[NDArray[np.float32]]) -> Ranges:
    """Measure a model's ranges and how close the int8 network then comes to float32 on pictures that were held back.

    The pictures, (3, H, W) in [0, 1], are blurred as the photos to come will be; some 40 of 256 px are enough.
    OptionError: a network of two views.
    """
    if model.card.views != 1:
        raise OptionError(f"{model.card.name}, a network of two views", "a network of one view", "another model")
    counted = list(pictures)
    activations = measure(model.graph, counted)
    drawn = Ranges(model.card.sha256, activations, len(counted), 0.0, 0.0)
    networks = [_compiled(one) for one in (read_folded(model.graph), build(model.graph, drawn, half_range=False))]
    closeness = []
    for picture in held_back:
        exact, rounded = (
            np.clip(picture + np.array(network([picture[None]])["residual"])[0], 0, 1) for network in networks
        )
        error = float(np.mean(np.square(exact - rounded, dtype=np.float64)))
        closeness.append(-10 * np.log10(max(error, 1e-12)))
    return replace(drawn, psnr_db=round(float(np.mean(closeness)), 2), lowest_psnr_db=round(float(min(closeness)), 2))


def _compiled(model: Any) -> Any:
    import openvino

    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _convolutions(model: Any) -> Iterator[Any]:
    return (node for node in model.get_ordered_ops() if node.get_type_name() == KIND)
