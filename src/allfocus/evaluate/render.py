"""Tables as Markdown, LaTeX, CSV and HTML."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence

from allfocus.evaluate.tables import Cell, Table

LEGEND = "A cell reads ours / published (difference); not run: no result of ours is stored."
CSV_COLUMNS = ("table", "row", "column", "ours", "published", "difference", "source", "note")
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def markdown(tables: Sequence[Table]) -> str:
    """Pipe tables with a heading and notes each."""
    parts = [LEGEND + "\n"]
    for table in tables:
        heads = ["", *(column.heading for column in table.columns)]
        lines = [_piped(heads), _piped(["---", *("---:" for _ in table.columns)])]
        lines += [_piped([line.name, *(cell_text(cell) for cell in line.cells)]) for line in table.lines]
        notes = [f"- {note}" for note in table.notes]
        parts.append("\n".join([f"## {table.title}", "", *lines, "", *notes, ""]))
    return "\n".join(parts)


def latex(tables: Sequence[Table]) -> str:
    """One `table` environment each; needs no package."""
    parts = []
    for table in tables:
        heads = " & ".join(["", *(_latex(column.heading) for column in table.columns)])
        lines = [
            " & ".join([_latex(line.name), *(_latex(cell_text(cell)) for cell in line.cells)]) for line in table.lines
        ]
        notes = " ".join(_latex(note) for note in (LEGEND, *table.notes))
        parts += [r"\begin{table}", rf"\caption{{{_latex(table.title)}. {notes}}}", rf"\label{{tab:{table.name}}}"]
        parts += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\hline", heads + r" \\", r"\hline"]
        parts += [line + r" \\" for line in lines]
        parts += [r"\hline", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(parts)


def comma_separated(tables: Sequence[Table]) -> str:
    """One line a cell, with the source of what was published."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        for line in table.lines:
            for column, cell in zip(table.columns, line.cells, strict=True):
                sources = "; ".join(one.source for one in cell.published)
                notes = "; ".join(dict.fromkeys(one.note for one in cell.published if one.note))
                ours = cell.ours_text if cell.ours is not None or cell.ours_to_run else ""
                shown = (ours, cell.published_text, cell.difference_text)
                writer.writerow([table.name, line.name, column.metric, *shown, sources, notes])
    return text.getvalue()


def web(tables: Sequence[Table]) -> str:
    """A page of its own; hovering over a published number shows its source."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><title>allfocus: results</title>',
        "<style>body{font-family:sans-serif;margin:2rem}table{border-collapse:collapse}",
        "th,td{padding:.3rem .7rem;border-bottom:1px solid #ccc;text-align:right}",
        "th:first-child,td:first-child{text-align:left}.none{color:#777}</style></head><body>",
        f"<p>{html.escape(LEGEND)}</p>",
    ]
    for table in tables:
        heads = "".join(f"<th>{html.escape(head)}</th>" for head in ("", *(column.heading for column in table.columns)))
        parts += [f'<h2 id="{table.name}">{html.escape(table.title)}</h2>', f"<table><tr>{heads}</tr>"]
        for line in table.lines:
            cells = "".join(_web_cell(cell) for cell in line.cells)
            parts.append(f"<tr><td>{html.escape(line.name)}</td>{cells}</tr>")
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
        parts.append(f"</table><ul>{notes}</ul>")
    return "\n".join([*parts, "</body></html>", ""])


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "md": markdown,
    "tex": latex,
    "csv": comma_separated,
    "html": web,
}


def cell_text(cell: Cell) -> str:
    """ "25.41 / 25.37 (+0.04)", "not run / 25.37", "25.41", or "-" where there can be nothing."""
    published, difference = cell.published_text, cell.difference_text
    if cell.ours is None and not cell.ours_to_run:
        return published or "-"
    if not published:
        return "-" if cell.ours is None else cell.ours_text
    return f"{cell.ours_text} / {published}" + (f" ({difference})" if difference else "")


def _web_cell(cell: Cell) -> str:
    sources = "; ".join(f"{one.source}{f': {one.note}' if one.note else ''}" for one in cell.published)
    title = f' title="{html.escape(sources)}"' if sources else ""
    style = ' class="none"' if cell.ours is None else ""
    return f"<td{title}{style}>{html.escape(cell_text(cell))}</td>"


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _latex(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(character, character) for character in text)
