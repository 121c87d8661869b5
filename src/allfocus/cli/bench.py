"""`allfocus bench`: how fast each engine runs the networks here, against plain torch on the same processor."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from allfocus.engine.base import Engine
    from allfocus.weights.store import Model

MOST_MEGAPIXELS = 500
MULTIPLE = 16  # of every network's size
RESIDUAL_GAIN = 0.1  # of random weights: residuals of the size of trained ones
FLOAT32_TOLERANCE, ROUNDED_DB = 1e-4, 48.0
PRECISIONS = ("float32", "bfloat16", "int8")


def bench_command(
    models: Annotated[
        str, typer.Option(help="Models or networks, comma-separated; networks without weights get random ones.")
    ] = ("ifan,ifan-fast"),
    width: Annotated[int, typer.Option(min=16, help="Width of the photo in px.")] = 1280,
    height: Annotated[int, typer.Option(min=16, help="Height of the photo in px.")] = 720,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; each engine runs once per round.")] = 5,
    megapixels: Annotated[
        str, typer.Option(help="Also whole photos of these sizes, start to exit, as 1,24,100; minutes to hours.")
    ] = "",
    photo_precisions: Annotated[
        str, typer.Option(help="Precisions for the whole photos, comma-separated.")
    ] = "float32,bfloat16,int8",
    profile: Annotated[
        Path | None, typer.Option(help="Also write where OpenVINO's time goes, layer by layer, as JSON.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="JSON file for the times.")] = None,
    share: Annotated[
        Path | None, typer.Option(help="Also write a file to share: processor, versions and times, nothing else.")
    ] = None,
) -> None:
    """Time every engine on photos of one size, in turns; -o writes the times with their conditions."""
    from allfocus.atomic_file import AtomicFile, make_folder, write_json
    from allfocus.errors import OptionError

    sizes, names = _sizes(megapixels), [name.strip() for name in models.split(",")]
    precisions = [name.strip() for name in photo_precisions.split(",")]
    if not set(precisions) <= set(PRECISIONS):
        raise OptionError(f"--photo-precisions {photo_precisions}", f"some of {', '.join(PRECISIONS)}", "all of them")
    if width % MULTIPLE or height % MULTIPLE:
        raise OptionError(f"{width}x{height}", f"multiples of {MULTIPLE}", "--width 1280 --height 720")
    for path in (output, profile, share):  # before the minutes of work
        if path is not None:
            make_folder(path.parent)
            AtomicFile(path, overwrite=True).check()
    report: dict[str, Any] = {"question": "seconds per engine and network", "conditions": _conditions(width, height)}
    report["networks"] = [_network(name, width, height, repeats) for name in names]
    report["conditions"]["load_average_after"] = _load_average()
    _compare_with_ifan(report["networks"])
    if sizes:
        report["photos"] = _photos(names, sizes, repeats, precisions)
    if profile is not None:
        write_json(profile, {"conditions": report["conditions"], "networks": _profiles(names, width, height)})
        typer.echo(f"profile written to {profile}")
    if output is not None:
        write_json(output, report)
        typer.echo(f"written to {output}")
    if share is not None:
        write_json(share, _shareable(report))
        typer.echo(f"to share: {share}")


def _sizes(megapixels: str) -> list[float]:
    from allfocus.errors import OptionError

    try:
        sizes = [float(text) for text in megapixels.split(",") if text.strip()]
    except ValueError:
        sizes = [0.0]
    if not all(0 < size <= MOST_MEGAPIXELS for size in sizes):
        raise OptionError(f"--megapixels {megapixels}", f"numbers up to {MOST_MEGAPIXELS}", "--megapixels 1,24")
    return sizes


def _photos(names: list[str], sizes: list[float], repeats: int, precisions: list[str]) -> dict[str, Any]:
    """Whole photos through every engine, with installed weights only."""
    from allfocus.cli.bench_photos import METHOD, time_photos
    from allfocus.weights.store import find

    rows = time_photos([find(name) for name in names], sizes, repeats, precisions)
    for row in rows:
        peak = f", {row['peak_mb']} MB" if row["peak_mb"] else ""
        typer.echo(
            f"{row['megapixels']:g} MP {row['model']} {row['engine']} {row['precision']}: "
            f"first {row['cold_seconds']:.2f} s, then {row['median_seconds']:.2f} s{peak}"
        )
    return {"method": METHOD, "rows": rows}


def _profiles(names: list[str], width: int, height: int) -> list[dict[str, Any]]:
    """Where the time of one picture goes in OpenVINO, in each precision."""
    from allfocus.engine import openvino
    from allfocus.weights.store import find

    return [
        openvino.profile(model, precision, height, width)
        for name in names
        for model in [find(name)]
        for precision in PRECISIONS
        if openvino.unavailable(precision, model) is None
    ]


def _compare_with_ifan(networks: list[dict[str, Any]]) -> None:
    """Every engine's speed against plain torch float32 `ifan`, where that was timed in the same run."""
    slow = [
        row["median_seconds"]
        for network in networks
        for row in network["engines"]
        if network["name"] == "ifan" and (row["engine"], row["precision"]) == ("torch", "float32")
    ]
    for network in networks:
        for row in network["engines"]:
            row["speed_up_over_torch_ifan"] = round(slow[0] / row["median_seconds"], 2) if slow else None


def _shareable(report: dict[str, Any]) -> dict[str, Any]:
    """What says how fast a class of processors is, and nothing about whose it is."""
    kept = ("width", "height", "processor", "allfocus", "openvino", "onnxruntime", "torch", "load_average_before")
    figures = ("engine", "precision", "threads", "median_seconds", "rounds", "speed_up_over_torch",
               "speed_up_over_torch_ifan", "difference")  # fmt: skip
    return {
        "question": report["question"],
        "conditions": {name: report["conditions"][name] for name in kept},
        "networks": [
            {
                "name": network["name"],
                "weights": network["weights"],
                "engines": [{name: row[name] for name in figures} for row in network["engines"]],
            }
            for network in report["networks"]
        ],
        **({"photos": report["photos"]} if "photos" in report else {}),
    }


def _conditions(width: int, height: int) -> dict[str, Any]:
    import platform
    from dataclasses import asdict
    from datetime import UTC, datetime
    from importlib.metadata import PackageNotFoundError, version

    from allfocus import __version__
    from allfocus.engine.processor import Processor

    versions = {}
    for package in ("openvino", "onnxruntime", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "width": width,
        "height": height,
        "batch": 1,
        "processor": asdict(Processor.here()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "allfocus": __version__,
        **versions,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average_before": _load_average(),
        "method": "one warm-up each, then rounds in which every engine runs once; medians; speed-up is the median over"
        " rounds of torch's time by the engine's time in that round",
    }


def _load_average() -> list[float] | None:
    import os

    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _network(name: str, width: int, height: int, repeats: int) -> dict[str, Any]:
    """Time one network on every engine, and check that they agree before reporting any speed."""
    import numpy as np

    with _model(name) as (model, weights):
        engines = _engines(model)
        photo = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
        inputs = (photo,) if model.card.views == 1 else (photo, np.concatenate([photo, photo], axis=1))
        typer.echo(f"{name} ({weights} weights) at {width}x{height}")
        results = {key: engine.run(*inputs).residual for key, engine in engines.items()}
        seconds = _interleaved(engines, inputs, repeats)
        rows = [_row(key, engines[key], results, seconds) for key in engines]
    for row in rows:
        speed_up = row["speed_up_over_torch"]
        typer.echo(
            f"  {row['engine']:<12} {row['precision']:<9} {row['median_seconds'] * 1e3:8.0f} ms"
            + ("" if speed_up is None else f" {speed_up:6.2f}x")
        )
    return {"name": name, "weights": weights, "parameters": model.card.parameters, "engines": rows}


def _engines(model: Model) -> dict[str, Engine]:
    """Every engine that can run here, plain torch in float32 on the CPU first."""
    from allfocus.engine import onnxruntime, openvino, torch
    from allfocus.engine.processor import Processor

    engines: dict[str, Engine] = {}
    if torch.unavailable() is None:
        import torch as pytorch

        pytorch.set_num_threads(Processor.here().threads)
        engines["torch float32"] = torch.TorchEngine(model, "float32", "cpu")
        if torch.has_gpu():
            precision = torch.best_precision()
            engines[f"torch {precision} on the GPU"] = torch.TorchEngine(model, precision)
    for room in (onnxruntime, openvino):
        for precision in PRECISIONS:
            if room.unavailable(precision, model) is None:
                engines[f"{room.NAME} {precision}"] = room.start(model, precision)
    return engines


def _interleaved(engines: dict[str, Engine], inputs: tuple[np.ndarray, ...], repeats: int) -> dict[str, list[float]]:
    """Seconds of every round: whatever else the machine does then meets all engines alike."""
    import time

    seconds: dict[str, list[float]] = {key: [] for key in engines}
    for _ in range(repeats):
        for key, engine in engines.items():
            started = time.perf_counter()
            engine.run(*inputs)
            seconds[key].append(time.perf_counter() - started)
    return seconds


def _row(key: str, engine: Engine, results: dict[str, np.ndarray], seconds: dict[str, list[float]]) -> dict[str, Any]:
    from statistics import median

    reference = "torch float32" if "torch float32" in results else "openvino float32"
    ratios = [slow / fast for slow, fast in zip(seconds.get("torch float32", ()), seconds[key], strict=False)]
    return {
        "engine": engine.info.name,
        "device": engine.info.device,
        "precision": engine.info.precision,
        "threads": engine.info.threads,
        "median_seconds": round(median(seconds[key]), 4),
        "fastest_seconds": round(min(seconds[key]), 4),
        "rounds": [round(value, 4) for value in seconds[key]],
        "speed_up_over_torch": round(median(ratios), 2) if ratios else None,
        "difference": {"from": reference, **_agreement(key, engine, results[key], results[reference])},
    }


def _agreement(key: str, engine: Engine, found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """How far a result is from the reference. EngineError: too far: the speed of a wrong result is not reported."""
    import numpy as np

    from allfocus.errors import EngineError

    largest = float(np.abs(found - wanted).max())
    error = float(np.mean(np.square(found - wanted, dtype=np.float64)))
    decibel = float(-10 * np.log10(max(error, 1e-20)))
    if (engine.info.precision == "float32" and largest > FLOAT32_TOLERANCE) or decibel < ROUNDED_DB:
        raise EngineError(
            f"{key} is {largest:.2g} (PSNR {decibel:.1f} dB) away from plain float32",
            f"{FLOAT32_TOLERANCE:g} in float32, {ROUNDED_DB:g} dB in bfloat16 and int8",
            "--precision float32 until this is found",
        )
    return {"largest": largest, "psnr_db": round(decibel, 1)}


@contextmanager
def _model(name: str) -> Iterator[tuple[Model, str]]:
    """The installed model of a name and "installed", or one with random weights in a passing folder and "random"."""
    from allfocus.errors import needs
    from allfocus.scratch import ScratchFolder
    from allfocus.weights.store import find, installed

    if name in {model.card.name for model in installed()}:
        yield find(name), "installed"
        return
    with needs(f"timing {name}, which is not installed,", "train", "torch and onnx"):
        import torch

        from allfocus.checkpoints.release import release
        from allfocus.nets.registry import architecture
    known = architecture(name)
    torch.manual_seed(0)
    with ScratchFolder.temporary() as scratch:
        yield release(known.build(RESIDUAL_GAIN), known, name, scratch.path, context_px=0), "random"
