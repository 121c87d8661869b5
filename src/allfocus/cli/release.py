"""`allfocus release`: turn a training run into a model that the engines run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def release_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run of `allfocus train`.")],
    cache: Annotated[Path, typer.Option(help="The samples that it was trained on.")],
    photos: Annotated[Path, typer.Option(help="Folder of photos on which the network's reach is measured.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for its three files.")],
    gain: Annotated[float, typer.Option(help="Factor on the residual, to calibrate it on real photos.")] = 1.0,
    failures: Annotated[Path | None, typer.Option(help="Text file, one known failure a line, for the card.")] = None,
    command: Annotated[str, typer.Option(help="The line that reproduces it, for the card.")] = "",
) -> None:
    """Write weights, graph and card of a run's averaged weights; the graph is checked against torch."""
    from dataclasses import replace

    from allfocus.checkpoints.release import release
    from allfocus.data.cache import SampleCache
    from allfocus.nets.registry import architecture
    from allfocus.train.provenance import training_data
    from allfocus.train.reach import measure_reach
    from allfocus.train.state import load_averaged
    from allfocus.train.validate import read_photos

    config, net, step = load_averaged(run)
    spec = SampleCache(cache).spec
    net.scale_residual(gain)
    context_px = measure_reach(net, read_photos(photos)[:4])
    model = release(net, architecture(config.architecture), name, output, context_px=context_px)
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
