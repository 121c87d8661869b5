"""Documents break the build when they lie."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from allfocus.cli.main import COMMANDS


def test_numbers_in_the_readme_are_those_of_the_result_files(repository: Path) -> None:
    line = [sys.executable, str(repository / "benchmarks" / "readme.py"), "--check"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_numbers_in_the_capture_page_are_those_of_the_result_files(repository: Path) -> None:
    pytest.importorskip("cv2")
    line = [sys.executable, str(repository / "benchmarks" / "capture.py"), "page", "--check"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_commands_and_files_that_documents_name_exist(repository: Path) -> None:
    for document in [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]:
        text = document.read_text()
        for command in re.findall(r"^(?:\.venv/bin/)?allfocus ([a-z]+)", text, flags=re.MULTILINE):
            assert command in COMMANDS, f"{document.name}: allfocus {command}"
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
