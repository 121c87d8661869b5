"""The wheel, not the tree: its size, what is inside, and that it deblurs in an empty environment without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
NO_NETWORK = """
import socket, sys
def refuse(*arguments, **options): raise SystemExit("a connection was made")
socket.socket.connect = socket.getaddrinfo = refuse
from allfocus.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    pytest.importorskip("build", reason="build is not installed")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(repository)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return folder


def test_the_wheel_is_small_and_whole(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < 60e6
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    weights, page = ("ifan-fast.safetensors", "ifan-fast.json"), ("index.html", "js/main.js")
    for file in (*(f"weights/{name}" for name in weights), *(f"web/static/{name}" for name in page)):
        assert f"allfocus/{file}" in names
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        assert any(name.endswith("/pyproject.toml") for name in source.getnames())
        assert not any("/shared/" in name for name in source.getnames())


def test_the_wheel_deblurs_offline_in_an_empty_environment(built: Path, repository: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [python, "-m", "pip", "install", "-q", "-c", repository / "constraints.txt", wheel]
    subprocess.run([str(part) for part in command], check=True)
    photo = tmp_path / "cat.png"
    shutil.copy(repository / "examples/photos/cat-real.png", photo)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["ALLFOCUS_CACHE"] = str(tmp_path / "cache")
    subprocess.run([str(python), "-c", NO_NETWORK, "deblur", str(photo)], check=True, cwd=tmp_path, env=environment)
    assert (tmp_path / "cat.sharp.png").stat().st_size > 1000
    check = (
        "import allfocus, importlib.metadata as m; from allfocus.weights import store;"
        "print(allfocus.__file__); print(m.metadata('allfocus')['License-Expression']);"
        "print([model.card.licence for model in store.installed()])"
    )
    done = subprocess.run([str(python), "-c", check], capture_output=True, text=True, check=True, env=environment)
    place, licence, weights = done.stdout.splitlines()
    assert str(tmp_path / "venv") in place
    assert licence == "Apache-2.0" and "Apache-2.0" in weights


def test_pipx_runs_it(built: Path, tmp_path: Path) -> None:
    pipx = shutil.which("pipx")
    if pipx is None:
        pytest.skip("pipx is not installed")
    (wheel,) = built.glob("*.whl")
    environment = {**os.environ, "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    environment.pop("PYTHONPATH", None)
    command = [pipx, "run", "--spec", str(wheel), "allfocus", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith("allfocus ")
