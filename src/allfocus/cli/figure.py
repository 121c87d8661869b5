"""`allfocus figure`: methods side by side on chosen scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allfocus.cli.options import EngineName, Precision, Scale
from allfocus.data.registry import LOADERS


def figure_command(
    methods: Annotated[
        list[str],
        typer.Argument(metavar="METHOD...", help="Models, baselines or [LABEL=]folder:PATH, from left to right."),
    ],
    root: Annotated[Path, typer.Option(help="Folder of the data set.")],
    data: Annotated[str, typer.Option(help=f"One of {', '.join(LOADERS)}.")] = "pairs",
    scene: Annotated[list[str] | None, typer.Option(help="Name of a scene; repeat for more. \\[the first]")] = None,
    limit: Annotated[int, typer.Option(help="Number of scenes, if none is named.")] = 3,
    crop: Annotated[
        list[str] | None,
        typer.Option(help="Area to enlarge: X,Y,WIDTH,HEIGHT; repeat for more. \\[where most detail came back]"),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Name of the figure, written as PNG and PDF.")] = Path(
        "figure"
    ),
    engine: EngineName = "auto",
    precision: Precision = "auto",
    scale: Scale = "auto",
) -> None:
    """Draw input, methods and ground truth side by side, with marked and enlarged crops."""
    from allfocus.data.registry import load
    from allfocus.errors import DataError, needs
    from allfocus.evaluate.figures import Crop, draw, make_row
    from allfocus.evaluate.methods import MethodSpec
    from allfocus.targets import check

    with needs("allfocus figure", "eval", "matplotlib"):
        import matplotlib  # noqa: F401  (refused here, not after minutes of work)
    pairs = load(data, root)
    by_name = {pair.name: pair for pair in pairs}
    unknown = [name for name in scene or () if name not in by_name]
    if unknown:
        some = ", ".join(list(by_name)[:4])
        raise DataError(f"no scene {unknown[0]!r} in {pairs.name}", f"a name such as {some}", "leave --scene out")
    chosen = [by_name[name] for name in scene] if scene else list(pairs.first(limit))
    ending = output.suffix.lower()
    stem = output.with_suffix("") if ending in (".png", ".pdf") else output
    paths = [stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.pdf")]
    reads = [path for pair in pairs for path in (pair.source, pair.target, pair.left, pair.right) if path is not None]
    check(paths, reads)
    crops = [Crop.parse(text) for text in crop or ()]
    built = [MethodSpec(text, engine, precision, scale).build(pairs) for text in methods]
    rows = []
    for index, pair in enumerate(chosen, start=1):
        typer.echo(f"{index}/{len(chosen)} {pair.name}", err=True)
        rows.append(make_row(pairs, pair, built, crops))
    draw(rows, paths)
    for path in paths:
        print(path)
