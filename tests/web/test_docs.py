"""Each command of the pages for engineers and photographers is run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from allfocus.cli.main import COMMANDS
from web.conftest import Served, blurred, jpeg, opened


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_the_engineers_page_shows_works(service: Served, repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs/engineers.md").read_text().replace("http://127.0.0.1:8765", service.url)
    (tmp_path / "photo.jpg").write_bytes(jpeg(blurred()))
    (tmp_path / "mask.png").write_bytes(opened(jpeg(blurred())).colourspace("b-w").pngsave_buffer())
    ran = 0
    for block in blocks(text, "bash"):
        if "curl" not in block:
            continue
        script = f'set -euo pipefail\npython() {{ {sys.executable} "$@"; }}\n{block}'
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        ran += block.count("curl")
    assert ran == 7
    assert opened((tmp_path / "sharp.jpg").read_bytes()).width == 128
    assert (tmp_path / "map.tiff").stat().st_size > 0
    (tmp_path / "sharp.jpg").unlink()
    for block in blocks(text, "python"):
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)
    assert opened((tmp_path / "sharp.jpg").read_bytes()).width == 128


def test_commands_of_allfocus_in_both_pages_exist(repository: Path) -> None:
    extras = (repository / "pyproject.toml").read_text()
    for page in ("engineers", "photographers"):
        text = (repository / f"docs/{page}.md").read_text()
        for block in blocks(text, "bash"):
            for command, options in re.findall(r"^allfocus ([a-z]+)(.*)$", block, flags=re.MULTILINE):
                assert command in COMMANDS
                told = subprocess.run(
                    [sys.executable, "-m", "allfocus", command, "--help"], capture_output=True, text=True, check=True
                ).stdout
                assert all(option in told for option in re.findall(r"--?[a-z]+", options))
        for extra in re.findall(r"allfocus\[([a-z]+)\]", text):
            assert f"\n{extra} = [" in extras
