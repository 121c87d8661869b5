"""`allfocus inspect`: effective kernels and receptive field at one pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allfocus.cli.options import ModelName


def inspect_command(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo; it is only read.")],
    at: Annotated[str, typer.Option(metavar="X,Y", help="The pixel, from the upper left corner.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The figure. [NAME.inspect.png]")] = None,
    model: ModelName = "ifan-fast",
    scale: Annotated[int, typer.Option(help="Working scale: 1, 2 or 4, for full, half or quarter size.")] = 1,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
    json: Annotated[bool, typer.Option(help="Print one JSON object.")] = False,
) -> None:
    """Draw the effective kernels and the receptive field at one pixel, as a PNG (needs torch)."""
    from allfocus.atomic_file import AtomicFile
    from allfocus.errors import OptionError
    from allfocus.inspection import inspect, write_figure
    from allfocus.photo.codecs import decode
    from allfocus.targets import check
    from allfocus.weights.store import find

    target = output or photo.with_name(f"{photo.stem}.inspect.png")
    if target.suffix.lower() != ".png":
        raise OptionError(f"{target.name} for the figure", "a name ending in .png", f"-o {target.stem}.png")
    x, y = _place(at)
    check((target,), (photo,))
    AtomicFile(target, overwrite=overwrite).check()
    found = inspect(decode(photo), find(model), x, y, scale)
    write_figure(found, target, overwrite=overwrite)
    numbers = found.numbers()
    if json:
        import json as json_module

        typer.echo(json_module.dumps({"source": str(photo), "output": str(target), "model": model, **numbers}))
        return
    blur = "" if found.radius_px is None else f", blur radius {abs(found.radius_px):.1f} px"
    typer.echo(f"{target}  {photo.name} at {x},{y}{blur}")
    kernel = numbers["kernel"]
    typer.echo(
        f"  kernels of {kernel['cells']}x{kernel['cells']} cells of {kernel['cell_px']} px: {_span(kernel['reach_px'])}"
    )
    typer.echo(f"  receptive field: {_span(numbers['receptive_field']['reach_px'])}")


def _span(reach_px: dict[str, float] | None) -> str:
    if reach_px is None:
        return "nothing gets through"
    return ", ".join(f"{share} % within {radius:.0f} px" for share, radius in reach_px.items())


def _place(text: str) -> tuple[int, int]:
    from allfocus.errors import OptionError

    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise OptionError(f"the place {text!r}", "two whole numbers, in px", "--at 640,360")
    return int(parts[0]), int(parts[1])
