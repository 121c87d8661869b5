"""`allfocus tables`: the paper's tables from stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tables_command(
    results: Annotated[Path, typer.Option(help="Folder with the results of `allfocus eval`.")] = Path("results"),
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the tables. [RESULTS]")] = None,
    show: Annotated[bool, typer.Option("--show", help="Also print the Markdown.")] = False,
) -> None:
    """Write tables.md, .tex, .csv and .html: our results beside published ones, with the difference."""
    from allfocus.atomic_file import make_folder, write_text
    from allfocus.evaluate.published import published
    from allfocus.evaluate.render import FORMATS
    from allfocus.evaluate.strata import strata
    from allfocus.evaluate.tables import own_tables, paper_tables, read_results

    stored = read_results(results)
    tables = [*own_tables(stored), *strata(stored), *paper_tables(stored, published(results))]
    folder = output or results
    make_folder(folder)
    for ending, render in FORMATS.items():
        path = folder / f"tables.{ending}"
        write_text(path, render(tables))
        print(path)
    if show:
        print(FORMATS["md"](tables))
