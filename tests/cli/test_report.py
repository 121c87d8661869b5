"""The progress bar of one photo on a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from allfocus.cli.report import Report, with_name
from allfocus.inputs import Plan
from allfocus.restore import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_counts_tiles_from_the_first_and_never_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Report(Plan(()), as_json=False).photo(Path("a.jpg")) as advance:
        advance(Progress(2, 1, 3))
        advance(Progress(1, 2, 2))
    shown = terminal.getvalue()
    assert "None" not in shown and "0/" not in shown
    assert "2/2 tiles" in shown


def test_a_failure_names_its_photo_once() -> None:
    assert with_name(Path("a.jpg"), "a.jpg is empty") == "a.jpg is empty"
    assert with_name(Path("a.jpg"), "no space is left") == "a.jpg: no space is left"
