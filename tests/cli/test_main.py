"""The entry point: refusals in three parts, extras by name, nothing that escapes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from allfocus.cli import main as entry
from allfocus.cli.main import main

PLAIN = """
import contextlib, importlib.util, io, json, sys

class Missing:
    names = {"torch", "safetensors", "onnx", "scipy", "matplotlib", "skimage", "lightning", "numba", "h5py",
             "jsonargparse", "tensorboard"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

look = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.partition(".")[0] in Missing.names else look(name, *rest)
sys.meta_path.insert(0, Missing())
from allfocus.cli.main import main

for line in json.loads(sys.argv[1]):
    said = io.StringIO()
    code = 0
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(line)
        except SystemExit as end:
            code = end.code or 0
    print(json.dumps([code, said.getvalue()]))
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    pyvips.Image.new_from_array(pixels).write_to_file(str(tmp_path / "photos" / "photo.png"))
    return tmp_path / "photos" / "photo.png"


def test_what_an_install_without_extras_lacks_is_named_with_the_extra(photo: Path, tmp_path: Path) -> None:
    folder, out = str(photo.parent), str(tmp_path / "out")
    lines = {
        "simulate": ["--photos", folder, "-o", out],
        "prepare": ["--photos", folder, "-o", out],
        "train": ["--recipe", "ifan-fast", "--photos", folder, "-o", out],
        "release": [folder, "--name", "x", "-o", out],
        "import": [str(photo)],
        "export": ["ifan-fast", "-o", str(tmp_path / "a.onnx")],
        "inspect": [str(photo), "--at", "5,5"],
        "eval": ["input", "--data", "photos", "--root", folder, "-o", out],
        "figure": ["input", "--data", "photos", "--root", folder, "-o", out],
    }
    commands = [[name, *rest] for name, rest in lines.items()] + [["map", str(photo)]]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    results = dict(zip([*lines, "map"], map(json.loads, done.stdout.splitlines()), strict=True))
    assert results.pop("map") == [0, ""]  # its default is what every install can do
    assert photo.with_name("photo.map.tiff").is_file()
    for name, (code, said) in results.items():
        assert code in (0, 2), (name, said)
        if code:
            assert "' extra; try: pip install 'allfocus[" in said, (name, said)
        else:
            assert name in ("eval", "figure"), name  # what they need depends on the method


def test_an_error_that_was_not_foreseen_asks_for_a_report(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(arguments: list[str]) -> Any:
        raise KeyError("a mistake")

    monkeypatch.setattr(entry, "_application", broken)
    for arguments, traceback in ((["models"], False), (["models", "--debug"], True), (["--debug", "models"], True)):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        said = capfd.readouterr().err
        assert "KeyError" in said and "report what it prints" in said
        assert ("Traceback" in said) == traceback


def test_the_help_names_version_and_debug(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capfd.readouterr().out
    assert "--version" in told and "--debug" in told


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (["map", "{photo}", "-o", "{folder}/photo.tiff", "--overwrite"], None),
        (["inspect", "{photo}", "--at", "5,5", "-o", "{photo}", "--overwrite"], "is the input itself"),
        (["inspect", "{photo}", "--at", "5,5", "-o", "{folder}/link.png", "--overwrite"], "the same file as the input"),
        (["figure", "input", "--data", "photos", "--root", "{folder}", "-o", "{photo}"], "is the input itself"),
        (["simulate", "--photos", "{folder}", "-o", "{folder}/new"], "lies in"),
        (["prepare", "--photos", "{folder}", "-o", "{folder}"], "lies in"),
        (["import", "{folder}/net.safetensors", "--name", "net", "-o", "{folder}"], "is the input itself"),
        (["export", "{folder}/net.onnx", "-o", "{folder}/net.onnx", "--overwrite"], "is the input itself"),
        (["bench", "-o", "{folder}"], "is a folder"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_no_command_writes_over_what_it_reads(
    photo: Path, capfd: pytest.CaptureFixture[str], command: list[str], target: str | None
) -> None:
    folder = photo.parent
    (folder / "net.safetensors").write_bytes(b"weights")
    (folder / "net.onnx").write_bytes(b"graph")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "link.png").symlink_to(photo)
    with pytest.raises(SystemExit) as end:
        main([word.format(photo=photo, folder=folder) for word in command])
    assert (end.value.code or 0) == (2 if target else 0)
    said = capfd.readouterr().err
    assert target is None or target in said, said
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_benchmark_has_no_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import inspect

    from allfocus.cli.bench import bench_command

    assert inspect.signature(bench_command).parameters["output"].default is None


@pytest.mark.parametrize("peak", ["nan", "inf", "-1"])
def test_a_peak_that_is_no_radius_is_refused(photo: Path, capfd: pytest.CaptureFixture[str], peak: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["map", str(photo), f"--peak={peak}"])
    assert end.value.code == 2
    assert "a radius in px, or 0" in capfd.readouterr().err
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


def test_the_process_ends_at_once_only_where_it_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr(entry.threading, "active_count", lambda: 1)
    monkeypatch.setattr("multiprocessing.active_children", list)
    assert entry._holds_nothing()
    with monkeypatch.context() as beside:
        beside.setattr(entry.threading, "active_count", lambda: 2)
        assert not entry._holds_nothing()
    with monkeypatch.context() as beside:
        beside.setattr("multiprocessing.active_children", lambda: ["a worker"])
        assert not entry._holds_nothing()
    monkeypatch.setitem(sys.modules, "ray", sys)
    assert not entry._holds_nothing()


def test_help_shows_every_word_that_is_written_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich takes [words in brackets] for markup and drops them unless they are escaped."""
    from typer.main import get_command
    from typer.testing import CliRunner

    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("NO_COLOR", "1")
    application = entry._application([])
    for name, command in get_command(application).commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            shown = CliRunner().invoke(application, [name, *inner.split(), "--help"])
            assert shown.exit_code == 0
            for parameter in one.params:
                words = (getattr(parameter, "help", None) or "").replace("\\[", "[")
                assert words in shown.output, (name, inner, words)
