"""Every figure in README and docs has a source: a command writes it into a marked section, or figures.csv names it.

A figure is a number with a unit, or a decimal number. Not looked at are code, marked sections (test_docs.py runs their
commands with `--check`) and the tables of settings in docs/simulator.md (tests/simulate/test_docs.py).

A line of figures.csv is a stretch of text with figures in it, the file that they come from, and what is found there,
joined by ";". In a JSON file that is a path to the value of each figure, or to a text that says it: keys joined by "/",
"*100" for a percentage. In any other file it is text that stands in it.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "examples/README.md"]
DOCUMENTS += [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
WRITERS = {
    "README.md": "tools/readme.py",
    "docs/evaluation.md": "tools/evaluation_page.py",
    "docs/training.md": "tools/training_page.py",
    "docs/simulator.md": "tools/simulator_page.py",
    "docs/speed.md": "tools/speed_page.py",
    "docs/capture.md": "tools/capture_page.py",
    "docs/clusters.md": "tools/clusters_page.py",
    "docs/batch.md": "tools/batch_page.py",
}
"""What fills the marked sections of a document."""
NUMBER = r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
UNIT = r"(?:[ -](?:dB|px|s|ms|kB|MB|GB|megapixels?|(?:grey )?levels?|seconds?|minutes?|hours?|times)\b| ?%)"
FIGURE = re.compile(rf"(?<![\w.,/@#-])[-+]?(?:{NUMBER}(?:(?: to | and |-){NUMBER})*{UNIT}|\d*\.\d+(?!\w|\.\d))")
SECTION = re.compile(r"<!-- ([\w-]+): begin -->.*?<!-- \1: end -->", flags=re.DOTALL)
SETTINGS = re.compile(r"^\| setting \| default \|.*?\n\n", flags=re.DOTALL | re.MULTILINE)
CODE = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)|https?://\S+", flags=re.DOTALL)


def prose(document: str) -> str:
    """What is neither code nor filled by a command, on one line; each piece of code is a backtick."""
    text = SECTION.sub(" ", (ROOT / document).read_text(encoding="utf-8"))
    return " ".join(CODE.sub(" ` ", SETTINGS.sub(" ", text)).split())


def sources() -> list[dict[str, str]]:
    with Path(__file__).with_name("figures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def value_at(record: Any, path: str, number: str) -> float | None:
    """What keys joined by "/" lead to, times 100 where "*100" says so; of a text that says the number, that number."""
    keys, _, factor = path.partition("*")
    for key in keys.split("/"):
        record = record[int(key)] if isinstance(record, list) else record[key]
    if isinstance(record, str):
        return float(number) if re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", record) else None
    return float(record) * float(factor or 1)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_figure_is_written_by_a_command_or_listed_with_its_source(document: str) -> None:
    text = prose(document)
    listed = set()
    for line in sources():
        if line["document"] == document:
            found = [match.start() for match in re.finditer(re.escape(line["text"]), text)]
            assert found, f"figures.csv lists {line['text']!r}, which {document} no longer says"
            listed |= {at for start in found for at in range(start, start + len(line["text"]))}
    bare = [
        text[max(0, one.start() - 40) : one.end() + 20] for one in FIGURE.finditer(text) if one.start() not in listed
    ]
    assert not bare, f"{document}: figures without a source in tests/architecture/figures.csv: {bare}"


@pytest.mark.parametrize("line", sources(), ids=lambda line: f"{line['document']}: {line['text']}")
def test_the_source_says_what_the_document_says(line: dict[str, str]) -> None:
    source = ROOT / line["source"]
    text = source.read_text(encoding="utf-8")
    if source.suffix != ".json":
        assert [one for one in line["holds"].split(";") if one not in text] == [], line["source"]
        return
    record = json.loads(text)
    said = [number for one in FIGURE.finditer(line["text"]) for number in re.findall(NUMBER, one[0])]
    paths = line["holds"].split(";")
    assert len(said) == len(paths), f"{said} against {paths}"
    for number, path in zip(said, paths, strict=True):
        value = value_at(record, path, number)
        assert value is not None and f"{value:.{len(number.partition('.')[2])}f}" == number.replace(",", ""), path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_marked_sections_are_those_that_a_command_fills(document: str) -> None:
    names = [match[1] for match in SECTION.finditer((ROOT / document).read_text(encoding="utf-8"))]
    if names:
        writer = (ROOT / WRITERS[document]).read_text(encoding="utf-8")
        assert [name for name in names if not re.search(rf"['\"(<]*\b{name}\b", writer)] == []


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("a gain of 1.28 dB", ["1.28 dB"]),
        ("blur of 8 to 12 px and 61 % scale", ["8 to 12 px", "61 %"]),
        ("a 24-megapixel photo, LPIPS .021", ["24-megapixel", ".021"]),
        ("CVPR 2021, 12 photos, 3x3, version 0.1.0, 16-bit", []),
    ],
)
def test_what_counts_as_a_figure(text: str, figures: list[str]) -> None:
    assert [match[0] for match in FIGURE.finditer(text)] == figures
