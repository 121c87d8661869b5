from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from allfocus.checkpoints import native, official
from allfocus.checkpoints.release import adopt, default_name, release
from allfocus.errors import OutputError, WeightsError
from allfocus.evaluate.cost import cost_of_architecture
from allfocus.nets.registry import Architecture
from allfocus.weights.card import TrainingData
from allfocus.weights.store import Model, find

SMALL = Architecture(iterations=2, unshuffle=2, width=8)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model, released once."""
    folder = tmp_path_factory.mktemp("release") / "models"
    return release(SMALL.build(), SMALL, "mine", folder, context_px=48, licence="CC0-1.0")


def test_a_network_becomes_a_model_that_is_found(released: Model) -> None:
    model = find(released.weights)
    assert model == released
    assert Architecture(**model.card.architecture) == SMALL
    assert model.card.parameters == sum(parameter.numel() for parameter in SMALL.build().parameters())
    assert model.card.macs == cost_of_architecture(asdict(SMALL)).macs
    assert (model.card.multiple, model.card.context_px, model.card.licence) == (16, 48, "CC0-1.0")
    assert sorted(path.name for path in model.weights.parent.iterdir()) == [
        "mine.json",
        "mine.onnx",
        "mine.safetensors",
    ]


def test_the_card_can_be_completed_afterwards(released: Model) -> None:
    known = replace(released.card, trained_on=(TrainingData("x", "CC0-1.0", 3),), scores={"real-val": {"lpips": 0.3}})
    known.write(released.weights.with_suffix(".json"))
    assert find(released.weights).card == known
    released.card.write(released.weights.with_suffix(".json"))


def test_a_release_that_fails_leaves_no_card(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("the card of the release before")
    net = SMALL.build()
    with torch.no_grad():
        net.decoder.out[0].bias[0] = float("inf")
    with pytest.raises(WeightsError, match="not finite"):
        release(net, SMALL, "mine", tmp_path, context_px=48)
    assert not (tmp_path / "mine.json").exists()


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

    with pytest.raises(OutputError, match=r"mine\.json already exists"):
        adopt(found, "mine", tmp_path / "models", origin="IFAN.pytorch", context_px=96, licence="CC0-1.0")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    small = Architecture(iterations=1, width=8, tied=True)
    found = official.OfficialCheckpoint(small, small.build().state_dict(), None, 0, False)
    with pytest.raises(OutputError, match="cannot be created"):
        adopt(found, "mine", tmp_path / "file" / "models", origin="x", context_px=0, licence="CC0-1.0")


def test_the_default_name_is_none_of_ours() -> None:
    assert default_name(Path("somewhere/IFAN_dual.pytorch")) == "ifan-dual-released"
