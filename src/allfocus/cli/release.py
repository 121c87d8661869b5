"""`allfocus release`: turn a training run into a model that the engines run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from allfocus.train.config import TrainConfig


def release_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run of `allfocus train`.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for its files.")],
    cache: Annotated[Path | None, typer.Option(help="The samples that it was trained on, for the card.")] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photos on which the network's reach is measured; IFAN needs it.")
    ] = None,
    gain: Annotated[float, typer.Option(help="Factor on the residual, to calibrate it on real photos.")] = 1.0,
    failures: Annotated[Path | None, typer.Option(help="Text file, one known failure a line, for the card.")] = None,
    command: Annotated[str, typer.Option(help="The line that reproduces it, for the card.")] = "",
) -> None:
    """Write weights, graph and card of a run's averaged weights; the graph is checked against torch.

    A DPDNet or DMENet becomes NAME.safetensors alone, which `allfocus eval` finds by its name.
    """
    from allfocus.train.state import load_averaged
    from allfocus.train.tasks.registry import BASELINES

    config, net, step = load_averaged(run)
    if config.architecture in BASELINES:
        from allfocus.checkpoints.baseline import save

        output.mkdir(parents=True, exist_ok=True)
        save(net, output / f"{name}.safetensors")
        typer.echo(f"{output / name}.safetensors: {_size(net):,} parameters, step {step}")
        return
    _release_ifan(config, net, step, name, output, cache, photos, gain, failures, command)


def _release_ifan(
    config: TrainConfig, net, step: int, name: str, output: Path, cache: Path | None, photos: Path | None,
    gain: float, failures: Path | None, command: str,
) -> None:  # fmt: skip
    from dataclasses import replace

    from allfocus.checkpoints.release import release
    from allfocus.data.cache import SampleCache
    from allfocus.errors import OptionError
    from allfocus.train.provenance import training_data
    from allfocus.train.reach import measure_reach
    from allfocus.train.tasks.registry import ifan_architecture
    from allfocus.train.validate import read_photos

    if photos is None or cache is None:
        raise OptionError("an IFAN without --cache and --photos", "both", "--cache runs/samples --photos DIR")
    spec = SampleCache(cache).spec
    net.scale_residual(gain)
    context_px = measure_reach(net, read_photos(photos)[:4])
    model = release(net, ifan_architecture(config), name, output, context_px=context_px)
    card = replace(
        model.card,
        trained_on=training_data(Path(spec.photos), spec.left_out),
        simulator=spec.simulator,
        steps=step,
        seed=config.seed,
        known_failures=() if failures is None else tuple(failures.read_text(encoding="utf-8").splitlines()),
        command=command,
    )
    card.write(model.weights.with_suffix(".json"))
    typer.echo(f"{model.weights}: {card.parameters:,} parameters, step {step}, reach {context_px} px")


def _size(net) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
