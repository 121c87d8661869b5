"""`allfocus watch`: photos are restored as they arrive in a folder, from a tethered camera or an inspection line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def watch_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that photos arrive in.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The folder for the results.")],
    model: Annotated[str, typer.Option(help="A name from `allfocus models`, or a weights file.")] = "ifan-fast",
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or int8.")] = "auto",
    strength: Annotated[float, typer.Option(help="0 keeps the photo, 1 is the whole correction.")] = 1.0,
    scale: Annotated[str, typer.Option(help="Coarsest working scale: auto, 1, 2 or 4.")] = "auto",
    quiet: Annotated[float, typer.Option(metavar="S", help="A file is whole when it has rested so long.")] = 0.5,
    backlog: Annotated[int, typer.Option(help="Whole photos that may wait at one time.")] = 1000,
    idle_exit: Annotated[
        float | None, typer.Option(metavar="S", help="End when nothing has come for so long. [never]")
    ] = None,
    json: Annotated[bool, typer.Option(help="One JSON object for each photo on standard output.")] = False,
) -> None:
    """Restore photos as they arrive in a folder; what was done before the start is known from the journal.

    The latency of a photo runs from the moment when its file was first seen to the moment when its result is whole.
    """
    from allfocus.batch.watch import Arrivals
    from allfocus.batch.work import Order
    from allfocus.cli.watching import Watching
    from allfocus.restore import Settings

    order = Order(Settings(strength=strength, scale=scale), model, engine, precision)
    arrivals = Arrivals(folder, output, quiet_s=quiet, backlog=backlog)
    Watching(arrivals, order, as_json=json).run(idle_exit)
