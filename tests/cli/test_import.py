"""`allfocus import`: what it says, and that a refusal leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

from allfocus.checkpoints import official
from allfocus.checkpoints import release as module
from allfocus.cli.import_ import import_command
from allfocus.errors import WeightsError
from allfocus.nets.registry import Architecture


@pytest.fixture
def run():
    application = typer.Typer()
    application.command()(import_command)
    return lambda *arguments: CliRunner().invoke(application, [str(argument) for argument in arguments])


def test_says_what_it_found_and_how_to_use_it(run, tmp_path: Path, monkeypatch) -> None:
    seen = {}

    def adopt(found, name, folder, **options):
        seen.update(options, found=found, name=name, folder=folder)
        card = SimpleNamespace(parameters=1_234_567, name=name)
        return SimpleNamespace(weights=folder / f"{name}.safetensors", card=card)

    monkeypatch.setattr(module, "adopt", adopt)
    monkeypatch.setenv("ALLFOCUS_MODELS", str(tmp_path / "models"))
    torch.manual_seed(0)
    file = tmp_path / "IFAN_8.pytorch"
    official.write(Architecture(iterations=1, tied=True).build(), file)
    done = run(file)
    assert done.exit_code == 0, done.output
    assert "released IFAN, N=1, one view, tied filters, 158 tensors, no reblurring network" in done.output
    assert "1,234,567 parameters, reach 192 px" in done.output
    assert "allfocus deblur PHOTO --model ifan-8-released" in done.output
    assert (seen["name"], seen["folder"], seen["origin"]) == ("ifan-8-released", tmp_path / "models", "IFAN_8.pytorch")
    assert (seen["licence"], seen["overwrite"]) == ("LicenseRef-unknown", False)

    done = run(file, "--name", "other", "-o", tmp_path / "here", "--licence", "MIT", "--overwrite")
    assert f"--model {tmp_path / 'here' / 'other.safetensors'}" in done.output
    assert (seen["licence"], seen["overwrite"]) == ("MIT", True)


def test_a_refusal_leaves_nothing_behind(run, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"\xff\xd8\xff not a checkpoint")
    done = run(file, "-o", tmp_path / "models")
    assert isinstance(done.exception, WeightsError)
    assert "photo.jpg is not a readable checkpoint" in str(done.exception)
    assert not (tmp_path / "models").exists()
