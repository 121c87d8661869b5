"""Each command of the pages for engineers and photographers is run; their tables are those of the code."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from allfocus.web.app import create_app
from allfocus.web.limits import Limits
from web.conftest import Served, blurred, jpeg, opened

PAGES = ("engineers", "photographers")
INSTALLED = {"pip install '.[serve]'", "pip install '.[site]'"}
"""Run by tests/test_packaging.py with the wheel."""
SITE = {"allfocus site -o site", "python -m http.server -d site"}
"""Run by tests/test_packaging.py too, because they need npm."""
LONG = re.compile(r"^allfocus serve( --port 8765)?$")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with photos and a mask, and an environment whose `python` and `allfocus` are these."""
    (tmp_path / "photo.jpg").write_bytes(jpeg(blurred()))
    (tmp_path / "mask.png").write_bytes(opened(jpeg(blurred())).colourspace("b-w").pngsave_buffer())
    shutil.copy(tmp_path / "mask.png", tmp_path / "photo.mask.png")
    shutil.copy(tmp_path / "photo.jpg", tmp_path / "portrait.jpg")
    (tmp_path / "holiday").mkdir()
    shutil.copy(tmp_path / "photo.jpg", tmp_path / "holiday")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, arguments in (("python", ""), ("allfocus", " -m allfocus")):
        program = commands / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable}{arguments} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path, {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return line.getsockname()[1]


@needs_curl
def test_every_command_of_both_pages_runs(service: Served, repository: Path, desk: tuple[Path, dict[str, str]]) -> None:
    folder, environment = desk
    ran = 0
    for page in PAGES:
        text = (repository / f"docs/{page}.md").read_text()
        for block in blocks(text, "bash"):
            lines = [line for line in block.splitlines() if line and line not in INSTALLED | SITE]
            lines = [line for line in lines if not LONG.match(line)]  # the service under test is what they start
            script = "\n".join(["set -euo pipefail", *lines]).replace("http://127.0.0.1:8765", service.url)
            script = script.replace("8766", str(free_port()))
            command = ["bash", "-c", script]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, f"{block}\n{done.stderr}"
            ran += len(lines)
    assert ran >= 14
    assert opened((folder / "sharp.jpg").read_bytes()).width == 128
    assert opened((folder / "photo.sharp.jpg").read_bytes()).width == 128
    assert (folder / "map.tiff").stat().st_size > 0


def test_the_python_of_both_pages_runs(service: Served, repository: Path, desk: tuple[Path, dict[str, str]]) -> None:
    folder, _ = desk
    for page in PAGES:
        text = (repository / f"docs/{page}.md").read_text().replace("http://127.0.0.1:8765", service.url)
        for block in blocks(text, "python"):
            subprocess.run([sys.executable, "-c", block], cwd=folder, check=True, timeout=60)
    assert opened((folder / "sharp.jpg").read_bytes()).width == 128


def test_the_table_of_endpoints_is_that_of_the_service(service: Served, repository: Path) -> None:
    text = (repository / "docs/engineers.md").read_text()
    told = set(re.findall(r"^\| `([A-Z]+) (/\S+)` \|", text, flags=re.MULTILINE))
    paths = create_app(service.service).openapi()["paths"]
    assert told == {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_the_table_of_limits_is_that_of_the_service(repository: Path) -> None:
    text = (repository / "docs/engineers.md").read_text()
    told = re.findall(r"^\| `([A-Z_]+)` \| (\S+) \| (.+) \|$", text, flags=re.MULTILINE)
    here = []
    for name, field in Limits.model_fields.items():
        default = field.default
        value = "none" if default is None else f"{default:,}" if isinstance(default, int) else f"{default:g}"
        here.append((name.upper(), value, field.description))
    assert told == here


def test_pictures_of_the_pages_are_there(repository: Path) -> None:
    for page in PAGES:
        text = (repository / f"docs/{page}.md").read_text()
        for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
            assert (repository / "docs" / picture).stat().st_size < 300_000
