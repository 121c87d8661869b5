"""CONTRIBUTING.md, followed to the letter in a copy of the package: every example is added and keeps its contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"```python\n# (?:in (?P<name>[A-Z]+) of )?src/(?P<path>\S+)\n(?P<code>.*?)```", re.DOTALL)
TESTS = re.compile(r"^`pytest (tests/\S+)`$", re.MULTILINE)


def copied(package: Path, place: Path) -> Path:
    """The package with every file linked, so that it costs nothing and may be changed."""
    for folder, _, files in os.walk(package):
        here = place / Path(folder).relative_to(package)
        here.mkdir(parents=True)
        for name in files:
            if not name.endswith(".pyc"):
                (here / name).symlink_to(Path(folder) / name)
    return place


def follow(page: str, source: Path) -> list[str]:
    """Make the files and add the lines that the page names; the names that were registered."""
    added = []
    for block in BLOCK.finditer(page):
        path, code = source / block["path"], block["code"]
        if block["name"] is None:
            assert not path.exists(), f"{path} is there already"
            path.write_text(code)
            continue
        text = path.read_text()
        opening = re.search(rf"^{block['name']}\b.*[{{(]\n", text, re.MULTILINE)
        assert opening, f"{path} opens no {block['name']}"
        path.unlink()  # the link, not what it leads to
        path.write_text(text[: opening.end()] + code + text[opening.end() :])
        added.append(code.split('"')[1])
    return added


def test_the_examples_of_the_page_keep_their_contracts(repository: Path, tmp_path: Path) -> None:
    page = (repository / "CONTRIBUTING.md").read_text()
    source = copied(repository / "src" / "allfocus", tmp_path / "src" / "allfocus").parent
    added = follow(page, source)
    tests = TESTS.findall(page)
    assert len(added) == len(tests) == 5
    chosen = " or ".join(f"(contract and {name})" if name != "twins" else f"(refused and {name})" for name in added)
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests, "-k", chosen]
    environment = {**os.environ, "PYTHONPATH": str(source), "ALLFOCUS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(line, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) == len(added), done.stdout[-3000:]


@pytest.mark.parametrize("command", [["models", "--all", "--json"], ["eval", "--help"]])
def test_the_command_line_knows_what_was_added(repository: Path, tmp_path: Path, command: list[str]) -> None:
    source = copied(repository / "src" / "allfocus", tmp_path / "src" / "allfocus").parent
    follow((repository / "CONTRIBUTING.md").read_text(), source)
    environment = {**os.environ, "PYTHONPATH": str(source), "COLUMNS": "300"}
    line = [sys.executable, "-m", "allfocus", *command]
    told = subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout
    assert ("three-convolutions" if command[0] == "models" else "twins") in told
