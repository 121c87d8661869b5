"""Sections of a document that a command fills: `<!-- NAME: begin -->` to `<!-- NAME: end -->`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from allfocus.atomic_file import write_text

ROOT = Path(__file__).resolve().parents[1]
Sections = Mapping[str, Callable[[], list[str]]]


def stored(path: str) -> Any:
    """A result file, or None where nobody has made it yet."""
    file = ROOT / path
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def number(value: float | None, digits: int, factor: float = 1.0) -> str:
    """A cell; "-" for None."""
    return "-" if value is None else f"{float(value) * factor:.{digits}f}"


def table_line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A Markdown table whose columns after the first `words` are numbers."""
    rule = "|" + "---|" * words + "---:|" * (len(heads) - words)
    return [table_line(heads), rule, *(table_line(row) for row in rows)]


def filled(text: str, name: str, lines: Sequence[str]) -> str:
    """The text with the lines between the marks of a section."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{rest.split(end)[1]}"


def main(document: str, sections: Sections, description: str | None) -> None:
    """Write the sections of a document; with --check only fail if they are out of date."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if the page is out of date")
    arguments = parser.parse_args()
    page = ROOT / document
    text = before = page.read_text(encoding="utf-8")
    for name, lines in sections.items():
        text = filled(text, name, lines())
    if not arguments.check:
        write_text(page, text)
    elif text != before:
        sys.exit(f"{document} is out of date: python tools/{Path(sys.argv[0]).name}")
