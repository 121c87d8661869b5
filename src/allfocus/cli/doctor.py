"""`allfocus doctor`: available engines, the chosen one with the reasons, and the time per photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from allfocus.cli.options import ModelName, Precision

if TYPE_CHECKING:
    from allfocus.weights.store import Model

TILE_PX = 512
REPEATS = 3


def doctor_command(
    model: ModelName = "ifan-fast",
    precision: Precision = "auto",
    warm: Annotated[
        bool,
        typer.Option("--warm", help="Compile every model for this machine now, so that the first photo does not wait."),
    ] = False,
    json: Annotated[bool, typer.Option(help="Print one JSON object.")] = False,
) -> None:
    """Show which engines and models work on this machine, and the expected seconds per megapixel."""
    from dataclasses import asdict

    from allfocus import __version__, compiled
    from allfocus.engine import openvino_device
    from allfocus.engine.choose import survey
    from allfocus.engine.onnxruntime import accelerators
    from allfocus.engine.processor import Processor
    from allfocus.errors import AllfocusError
    from allfocus.folders import cache_folder, models_folder

    report: dict[str, Any] = {
        "allfocus": __version__,
        "processor": asdict(Processor.here()),
        "engines": [finding._asdict() for finding in survey(precision, _model_or_none(model))],
        "accelerators": accelerators(),
        "devices": openvino_device.found(),
        "compiled_loops": compiled.AVAILABLE,
        "warmed": [],
        "cache_folder": str(cache_folder()),
        "models_folder": str(models_folder()),
        "speed": None,
        "problem": None,
    }
    try:
        if warm:
            report["warmed"] = _warm(precision)
        report["speed"] = _measure(model, precision)
    except AllfocusError as error:
        report["problem"] = str(error)
    if json:
        import json as json_module

        typer.echo(json_module.dumps(report, indent=2))
    else:
        _say(report)
    if report["problem"]:
        raise SystemExit(AllfocusError.exit_code)


def _model_or_none(name: str) -> Model | None:
    from allfocus.errors import AllfocusError
    from allfocus.weights.store import find

    try:
        return find(name)
    except AllfocusError:
        return None  # said when it is to be measured


def _warm(precision: str) -> list[dict[str, Any]]:
    """Load every installed model once; engines keep what they compiled."""
    import time

    from allfocus.engine.choose import choose
    from allfocus.weights.store import find, installed

    rows = []
    for model in installed():
        started = time.perf_counter()
        info = choose(find(model.card.name), "auto", precision).info
        seconds = round(time.perf_counter() - started, 3)
        rows.append({"model": info.model, "engine": info.name, "precision": info.precision, "seconds": seconds})
    return rows


def _measure(name: str, precision: str) -> dict[str, Any]:
    """Load the model and time one tile, which says what a megapixel takes."""
    import time

    import numpy as np

    from allfocus.engine.choose import choose
    from allfocus.weights.store import find

    model = find(name)
    started = time.perf_counter()
    engine = choose(model, "auto", precision)
    loading = time.perf_counter() - started
    tile = np.random.default_rng(0).random((1, 3, TILE_PX, TILE_PX), dtype=np.float32)
    pair = np.concatenate([tile, tile], axis=1) if model.card.views == 2 else None
    engine.run(tile, pair)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        engine.run(tile, pair)
        seconds.append(time.perf_counter() - started)
    return {
        "model": model.card.name,
        "engine": engine.info.name,
        "device": engine.info.device,
        "precision": engine.info.precision,
        "loading_seconds": round(loading, 3),
        "seconds_per_megapixel": round(min(seconds) / TILE_PX**2 * 1e6, 3),
    }


def _say(report: dict[str, Any]) -> None:
    processor = report["processor"]
    features = f" ({', '.join(processor['features'])})" if processor["features"] else ""
    threads = f"{processor['threads']} thread{'s' * (processor['threads'] != 1)}"
    typer.echo(f"allfocus {report['allfocus']} on {processor['name']}, {threads}{features}")
    for finding in report["engines"]:
        state = "chosen" if finding["chosen"] else "here" if finding["available"] else "not here"
        precision = f" {finding['precision']}" if finding["precision"] else ""
        typer.echo(f"  {finding['name']:<12} {state}{precision}: {finding['reason']}")
    typer.echo(f"compiled models are kept in {report['cache_folder']}, your own models in {report['models_folder']}")
    if report["accelerators"]:
        typer.echo(f"--engine onnxruntime would use {', '.join(report['accelerators'])} (untested)")
    for name in report["devices"]:
        typer.echo(f"--engine {name} is here (untested); `allfocus bench` tells whether it is faster")
    if not report["compiled_loops"]:
        typer.echo("numpy runs the loops over pixels, which is slower: allfocus was installed without a C compiler")
    for row in report["warmed"]:
        typer.echo(f"{row['model']} is ready on {row['engine']} {row['precision']} ({row['seconds']:.1f} s)")
    speed = report["speed"]
    if speed is not None:
        typer.echo(
            f"{speed['model']} on {speed['engine']} {speed['precision']}: loaded in {speed['loading_seconds']:.1f} s, "
            f"about {speed['seconds_per_megapixel']:.1f} s per megapixel at one working scale"
        )
    if report["problem"]:
        typer.echo(f"problem: {report['problem']}", err=True)
