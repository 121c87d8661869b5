"""`allfocus watch`: photos are restored as they arrive in a folder, from a tethered camera or an inspection line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allfocus.cli.options import EngineName, ModelName, Precision, Scale, Strength


def watch_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to watch.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Folder for the results.")],
    model: ModelName = "ifan-fast",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    strength: Strength = 1.0,
    scale: Scale = "auto",
    quiet: Annotated[
        float, typer.Option(metavar="S", help="Treat a file as complete once it has not changed for S seconds.")
    ] = 0.5,
    backlog: Annotated[int, typer.Option(help="Most photos waiting at a time.")] = 1000,
    streams: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Photos restored side by side: 1 for the least latency, one per core for the most."
        ),
    ] = 1,
    idle_exit: Annotated[
        float | None, typer.Option(metavar="S", help="Exit after S seconds without a new photo. \\[never]")
    ] = None,
    json: Annotated[bool, typer.Option(help="Print one JSON object per photo.")] = False,
) -> None:
    """Deblur photos as they arrive in a folder; photos done by earlier runs are skipped.

    The latency of a photo is the time from when its file is first seen to when its result is complete.
    """
    from allfocus.batch.watch import Arrivals
    from allfocus.batch.work import Order
    from allfocus.cli.watching import Watching
    from allfocus.restore import Settings

    order = Order(Settings(strength=strength, scale=scale), model, engine, precision)
    arrivals = Arrivals(folder, output, quiet_s=quiet, backlog=backlog)
    Watching(arrivals, order, streams=streams, as_json=json).run(idle_exit)
