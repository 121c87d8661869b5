"""A released checkpoint becomes a model that is found, runs and goes back bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from allfocus.checkpoints import native, official
from allfocus.checkpoints.adopt import adopt, default_name
from allfocus.errors import OutputError
from allfocus.nets.registry import Architecture
from allfocus.weights.store import find

pytest.importorskip("onnx")


def test_a_released_file_becomes_a_model_and_goes_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    released = tmp_path / "IFAN.pytorch"
    official.write(Architecture(iterations=1, tied=True).build(), released)
    found = official.read(released)
    model = adopt(found, "mine", tmp_path / "models", origin="IFAN.pytorch", context_px=96, licence="CC0-1.0")

    assert find(tmp_path / "models" / "mine.safetensors") == model
    assert Architecture(**model.card.architecture) == found.architecture
    assert (model.card.views, model.card.multiple, model.card.context_px) == (1, 8, 96)
    assert model.card.command == "allfocus import IFAN.pytorch"
    assert "N=1, one view, tied filters" in model.card.known_failures[0]

    again = tmp_path / "again.pytorch"
    official.write(native.load(model.weights), again)
    first, second = (torch.load(path, weights_only=True) for path in (released, again))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)

    with pytest.raises(OutputError, match=r"mine\.json is already there"):
        adopt(found, "mine", tmp_path / "models", origin="IFAN.pytorch", context_px=96, licence="CC0-1.0")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    small = Architecture(iterations=1, width=8, tied=True)
    found = official.OfficialCheckpoint(small, small.build().state_dict(), None, 0, False)
    with pytest.raises(OutputError, match="cannot be made"):
        adopt(found, "mine", tmp_path / "file" / "models", origin="x", context_px=0, licence="CC0-1.0")


def test_the_default_name_is_none_of_ours() -> None:
    assert default_name(Path("somewhere/IFAN_dual.pytorch")) == "ifan-dual-released"
