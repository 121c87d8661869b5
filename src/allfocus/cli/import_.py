"""`allfocus import`: a released IFAN checkpoint becomes a model that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MEASURED_PHOTOS = 4


def import_command(
    file: Annotated[Path, typer.Argument(help="A released checkpoint, for instance IFAN.pytorch.")],
    name: Annotated[str | None, typer.Option(help="Name of the model. \\[that of the file, and -released]")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for its three files. \\[where --model looks]")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(help="Photos to measure the network's reach on; without them, tiles overlap by 192 px."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = "LicenseRef-unknown",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing model of that name.")] = False,
) -> None:
    """Convert a checkpoint of the paper's authors to weights, graph and card. No pickled code in it is executed."""
    from allfocus.errors import needs

    with needs("allfocus import", "train", "torch"):
        from allfocus.checkpoints import official
        from allfocus.checkpoints.release import adopt, default_name
    from allfocus.folders import models_folder
    from allfocus.targets import check
    from allfocus.train.reach import LARGEST_PX, measure_reach
    from allfocus.weights.store import CARD_SUFFIX, GRAPH_SUFFIX, WEIGHTS_SUFFIX

    named, folder = name or default_name(file), output or models_folder()
    check([folder / f"{named}{ending}" for ending in (WEIGHTS_SUFFIX, GRAPH_SUFFIX, CARD_SUFFIX)], [file])
    found = official.read(file)
    typer.echo(f"{file}: {found.describe()}")
    context_px = LARGEST_PX
    if photos is not None:
        from allfocus.train.validate import read_photos

        context_px = measure_reach(found.build().eval(), read_photos(photos, MEASURED_PHOTOS))
    model = adopt(found, named, folder, origin=file.name, context_px=context_px, licence=licence, overwrite=overwrite)
    typer.echo(f"{model.weights}: {model.card.parameters:,} parameters, reach {context_px} px")
    typer.echo(f"allfocus deblur PHOTO --model {model.card.name if output is None else model.weights}")
