"""`allfocus quantise`: measure what a model needs to run in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allfocus.cli.options import ModelName

SIDE_PX = 256
HELD_BACK = 12


def quantise_command(
    photos: Annotated[Path, typer.Option(help="Folder of sharp photos; defocus is simulated on them.")],
    model: ModelName = "ifan-fast",
    leave_out: Annotated[
        Path | None, typer.Option(help="Text file with the names of photos to leave out, one per line.")
    ] = None,
    crops: Annotated[int, typer.Option(min=1, help="Number of simulated photos to measure on.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated photos.")] = 0,
) -> None:
    """Calibrate a model for int8: measure the ranges of its activations and write NAME.int8 beside the weights."""
    import numpy as np

    from allfocus.data.stream import SimulatedStream
    from allfocus.engine.int8 import quantise
    from allfocus.errors import EngineError
    from allfocus.weights.ranges import ENOUGH_DB
    from allfocus.weights.store import INT8_SUFFIX, find

    found = find(model)
    names = () if leave_out is None else tuple(leave_out.read_text(encoding="utf-8").split())
    stream = SimulatedStream(photos, names)
    pictures = [
        stream.crop(np.random.default_rng([seed, number]), SIDE_PX, ()).centre[0].numpy()
        for number in range(crops + HELD_BACK)
    ]
    ranges = quantise(found, pictures[:crops], pictures[crops:])
    said = f"int8 against float32 on {HELD_BACK} other simulated photos: {ranges.psnr_db} dB, lowest "
    said += f"{ranges.lowest_psnr_db} dB"
    if ranges.psnr_db < ENOUGH_DB:
        raise EngineError(said, f"{ENOUGH_DB:g} dB on average", "more --crops, or float32, which needs no ranges")
    target = found.weights.with_suffix(INT8_SUFFIX)
    ranges.write(target)
    typer.echo(f"{target}: {len(ranges.activations)} ranges; {said}")
