"""Sections of a document are filled; `--check` only says whether they are up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

import page

TEXT = "# Title\n\n<!-- speed: begin -->\nold\n<!-- speed: end -->\nrest\n"


def test_a_section_is_written_and_then_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "README.md"
    document.write_text(TEXT)
    monkeypatch.setattr(page, "ROOT", tmp_path)
    lines = page.table(["what", "s"], [("one", page.number(1.234, 1)), ("other", page.number(None, 1))])
    sections = {"speed": lambda: lines}

    def run(*words: str) -> None:
        monkeypatch.setattr("sys.argv", ["tools/my_page.py", *words])
        page.main("README.md", sections, None)

    with pytest.raises(SystemExit, match=r"README\.md is out of date: python tools/my_page\.py"):
        run("--check")
    assert document.read_text() == TEXT
    run()
    assert document.read_text() == TEXT.replace("old", "| what | s |\n|---|---:|\n| one | 1.2 |\n| other | - |")
    run("--check")
