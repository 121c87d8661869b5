"""`allfocus site`: the page as static files, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allfocus.cli.options import ModelName


def site_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to create.")],
    model: ModelName = "ifan-fast",
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The dist folder of onnxruntime-web, if already there. \\[fetched by npm]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Write into an existing folder.")] = False,
) -> None:
    """Write the page as static files. The network runs in the visitor's browser; nothing is uploaded."""
    from allfocus.web.site import build

    size = build(output, model, runtime, overwrite=overwrite)
    print(f"{output}: {size / 1e6:.0f} MB; view it with: python -m http.server -d {output}")
