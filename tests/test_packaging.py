"""The wheel, not the tree: its size, what is inside, and that it deblurs in an empty environment without a network."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
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
        inside = [name.split("/")[1:] for name in source.getnames()]
        assert ["pyproject.toml"] in inside
        assert not any(path[:1] == ["shared"] for path in inside)  # the photos beside a checkout


def test_the_loops_are_compiled_unless_the_wheel_is_to_fit_every_machine(
    built: Path, repository: Path, tmp_path: Path
) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    (wheel,) = built.glob("*.whl")
    assert not wheel.name.endswith("-none-any.whl")
    assert any("_compiled." in name for name in zipfile.ZipFile(wheel).namelist())
    source = tmp_path / "source"  # a build leaves its library in the tree
    names = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
    shutil.copytree(repository / "src", source / "src", ignore=shutil.ignore_patterns("*.safetensors", "_compiled.*"))
    for name in names:
        shutil.copy(repository / name, source)
    for variables, said in (({"ALLFOCUS_PURE": "1"}, ""), ({"CC": "false"}, "uses numpy")):
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "out"), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
        assert done.returncode == 0, done.stdout[-2000:]
        assert said in done.stdout + done.stderr
        (pure,) = (tmp_path / "out").glob("*.whl")
        assert pure.name.endswith("-py3-none-any.whl")
        assert not any("_compiled." in name for name in zipfile.ZipFile(pure).namelist())
        pure.unlink()


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


def test_pipx_runs_it_without_a_network(built: Path, repository: Path, tmp_path: Path) -> None:
    pipx = shutil.which("pipx")
    if pipx is None:
        pytest.skip("pipx is not installed")
    (wheel,) = built.glob("*.whl")
    stock = tmp_path / "stock"
    constraints = str(repository / "constraints.txt")
    fetch = [sys.executable, "-m", "pip", "download", "-q", "-d", str(stock), "-c", constraints, str(wheel), "pip"]
    subprocess.run(fetch, check=True)
    shutil.copy(repository / "examples/photos/cat-real.png", tmp_path / "cat.png")
    environment = {**os.environ, "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(stock), "ALLFOCUS_CACHE": str(tmp_path / "cache")}
    environment.pop("PYTHONPATH", None)
    for arguments, said in ((["--version"], "allfocus "), (["deblur", "cat.png"], "")):
        command = [pipx, "run", "--spec", str(wheel), "allfocus", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(said)
    assert (tmp_path / "cat.sharp.png").stat().st_size > 1000


def test_the_wheel_serves_the_page_and_builds_the_site(built: Path, repository: Path, tmp_path: Path) -> None:
    """What docs/engineers.md and docs/photographers.md install and start."""
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    install = [str(programs / "python"), "-m", "pip", "install", "-q", "-c", str(repository / "constraints.txt")]
    subprocess.run([*install, f"{wheel}[serve,site]"], check=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"ALLFOCUS_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}
    with started([str(programs / "allfocus"), "serve", "--port", "0"], tmp_path, environment) as url:
        wait_for(f"{url}/readyz")
        assert b"<title>allfocus</title>" in urllib.request.urlopen(url).read()
        photo = (repository / "examples/photos/cat-real.png").read_bytes()
        request = urllib.request.Request(f"{url}/v1/deblur", photo, {"Content-Type": "image/png"})
        assert urllib.request.urlopen(request).read(4) == b"\x89PNG"
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    subprocess.run([str(programs / "allfocus"), "site", "-o", "site"], cwd=tmp_path, env=environment, check=True)
    with started([str(programs / "python"), "-m", "http.server", "0", "-d", "site"], tmp_path, environment) as url:
        for file in ("index.html", "ort/ort.wasm.min.mjs", "model/network.onnx"):
            assert urllib.request.urlopen(f"{url}/{file}").status == 200


@contextlib.contextmanager
def started(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """A server: the URL that it names; ended with SIGTERM."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # it was asked for
        found = re.search(r"http://[0-9.]+:\d+", process.stdout.readline())
        assert found
        yield found[0].replace("0.0.0.0", "127.0.0.1")
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str) -> None:
    """Until a URL answers with 200."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError):
            if urllib.request.urlopen(url).status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} did not answer")
