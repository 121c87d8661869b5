"""`allfocus site`: the page as static files, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def site_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.")],
    model: Annotated[str, typer.Option(help="A name from `allfocus models`, or a weights file.")] = "ifan-fast",
    runtime: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The dist folder of onnxruntime-web. [fetched by npm]")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Write into a folder that is there.")] = False,
) -> None:
    """Write the page as files for any web server: the network runs in the visitor's browser, nothing is uploaded."""
    from allfocus.web.site import build

    size = build(output, model, runtime, overwrite=overwrite)
    print(f"{output}: {size / 1e6:.0f} MB; look at it with: python -m http.server -d {output}")
