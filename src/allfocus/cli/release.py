"""`allfocus release`: turn a training run into a model that the engines run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from allfocus.train.config import TrainConfig
    from allfocus.weights.card import Card


def release_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run of `allfocus train`.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for its files.")],
    cache: Annotated[
        Path | None, typer.Option(help="Samples that it was trained on, if the run does not record them.")
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Photos to measure the network's reach on; required for IFAN.")
    ] = None,
    gain: Annotated[float, typer.Option(help="Factor on the residual, for calibration on real photos.")] = 1.0,
    average_with: Annotated[
        list[str] | None,
        typer.Option(help="Model or run whose weights are averaged with the run's (repeatable); a model has its gain."),
    ] = None,
    share: Annotated[float, typer.Option(help="The run's share in that average; the others share the rest.")] = 0.5,
    failures: Annotated[Path | None, typer.Option(help="Text file for the card, one known failure per line.")] = None,
    command: Annotated[str, typer.Option(help="Command that reproduces the model, for the card.")] = "",
) -> None:
    """Turn a training run into a model: averaged weights, a graph that is checked against torch, and a card.

    A DPDNet or DMENet gets no graph; `allfocus eval` finds its weights by name.
    """
    from dataclasses import replace

    from allfocus.data.cache import SampleCache
    from allfocus.targets import check
    from allfocus.train.state import load_averaged
    from allfocus.train.tasks.registry import BASELINES
    from allfocus.train.trained_on import TrainedOn, training_data
    from allfocus.weights.store import CARD_SUFFIX, GRAPH_SUFFIX, WEIGHTS_SUFFIX

    endings = (WEIGHTS_SUFFIX, GRAPH_SUFFIX, CARD_SUFFIX)
    check([output / f"{name}{ending}" for ending in endings], [path for path in run.glob("*") if path.is_file()])
    config, net, step = load_averaged(run)
    seen = TrainedOn.read(run) or TrainedOn()
    if cache is not None:
        spec = SampleCache(cache).spec
        seen = replace(seen, trained_on=training_data(Path(spec.photos), spec.left_out), simulator=spec.simulator)
    write = _write_baseline if config.architecture in BASELINES else _write_ifan
    _calibrate(net, gain, average_with or [], share)
    card, path = write(config, net, name, output, photos)
    replace(
        card,
        trained_on=seen.trained_on,
        simulator=seen.simulator,
        steps=seen.steps_before + step,
        seed=config.seed,
        known_failures=() if failures is None else tuple(failures.read_text(encoding="utf-8").splitlines()),
        command=command,
    ).write(path.with_suffix(".json"))
    typer.echo(f"{path}: {card.parameters:,} parameters, step {step} of this run, reach {card.context_px} px")


def _calibrate(net: Any, gain: float, average_with: Sequence[str], share: float) -> None:
    """Scale the residual, then average the weights with those of runs, scaled as well, and of models, which were scaled
    when they were released."""
    from copy import deepcopy

    from allfocus.train.state import average, fill

    others = [deepcopy(net) for _ in average_with]
    for other, name in zip(others, average_with, strict=True):
        fill(other, name)
    for one in (net, *(other for other, name in zip(others, average_with, strict=True) if Path(name).is_dir())):
        if gain != 1.0 and hasattr(one, "scale_residual"):
            one.scale_residual(gain)
    if others:
        average(net, others, share)


def _write_ifan(config: TrainConfig, net: Any, name: str, output: Path, photos: Path | None) -> tuple[Card, Path]:
    from allfocus.checkpoints.release import release
    from allfocus.errors import OptionError
    from allfocus.train.reach import measure_reach
    from allfocus.train.tasks.registry import ifan_architecture
    from allfocus.train.validate import read_photos

    if photos is None:
        raise OptionError("no --photos to measure the network's reach on", "a folder of photos", "--photos DIR")
    context_px = measure_reach(net, read_photos(photos, 4))
    model = release(net, ifan_architecture(config), name, output, context_px=context_px)
    return model.card, model.weights


def _write_baseline(config: TrainConfig, net: Any, name: str, output: Path, photos: Path | None) -> tuple[Card, Path]:
    """The file that `allfocus eval` finds by its name, without a graph; the reach is what the layers allow."""
    from allfocus.atomic_file import make_folder
    from allfocus.checkpoints.baseline import described, save
    from allfocus.weights.card import Card
    from allfocus.weights.store import sha256

    make_folder(output)
    path = output / f"{name}.safetensors"
    save(net, path)
    kind = described(net)
    card = Card(
        name=name,
        architecture=kind,
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        multiple=net.multiple,
        context_px=net.reach_px,
        sha256=sha256(path),
        licence="Apache-2.0",
        views=kind.get("dpdnet", {}).get("views", 1),
        outputs=("sharp",) if "dpdnet" in kind else ("defocus",),
    )
    return card, path
