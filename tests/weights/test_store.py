from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from allfocus.errors import WeightsError
from allfocus.weights import store
from allfocus.weights.card import FORMAT, Card
from allfocus.weights.store import find, installed


def put(folder: Path, name: str, content: bytes = b"tensors") -> Path:
    """Three files that look like a model; the path of the card."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.safetensors").write_bytes(content)
    (folder / f"{name}.onnx").write_bytes(b"graph")
    card = Card(name, {}, 7, 16, 32, hashlib.sha256(content).hexdigest(), "none")
    card.write(folder / f"{name}.json")
    return folder / f"{name}.json"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An empty shipped folder and an empty user folder."""
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    shipped.mkdir()
    monkeypatch.setattr(store, "SHIPPED", shipped)
    monkeypatch.setenv("ALLFOCUS_MODELS", str(own))
    return shipped, own


@pytest.mark.parametrize("suffix", [".json", ".safetensors", ".onnx"])
def test_a_model_is_found_by_any_of_its_files(tmp_path: Path, suffix: str) -> None:
    card = put(tmp_path / "elsewhere", "mine")
    model = find(card.with_suffix(suffix))
    assert (model.card.name, model.weights.name, model.graph.name) == ("mine", "mine.safetensors", "mine.onnx")
    assert find(str(card)) == model


def test_names_are_looked_up_in_both_folders_the_users_first(folders: tuple[Path, Path]) -> None:
    shipped, own = folders
    put(shipped, "a")
    put(shipped, "b")
    assert find("b").weights.parent == shipped
    put(own, "b", b"tuned")
    put(own, "c")
    assert find("b").weights.parent == own
    assert [(model.card.name, model.weights.parent) for model in installed()] == [
        ("a", shipped),
        ("b", own),
        ("c", own),
    ]


def test_an_unknown_name_lists_what_is_here(folders: tuple[Path, Path]) -> None:
    with pytest.raises(WeightsError, match="no model is called 'sharper'; expected one of: none here"):
        find("sharper")
    put(folders[0], "a")
    put(folders[1], "b")
    with pytest.raises(WeightsError, match="expected one of: a, b; try: allfocus models"):
        find("sharper")


def test_a_path_without_a_file_or_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no file .*gone\.safetensors"):
        find(tmp_path / "gone.safetensors")
    card = put(tmp_path, "mine")
    card.unlink()
    with pytest.raises(WeightsError, match=r"no card .*mine\.json for .*mine\.safetensors"):
        find(tmp_path / "mine.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_a_missing_file_is_named(tmp_path: Path, suffix: str) -> None:
    card = put(tmp_path, "mine")
    card.with_suffix(suffix).unlink()
    with pytest.raises(WeightsError, match=rf"mine lacks its file .*mine\{suffix}"):
        find(card)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    card = put(tmp_path, "mine")
    card.with_suffix(".safetensors").write_bytes(b"tensorz")
    with pytest.raises(WeightsError, match=r"damaged or another file .*expected sha256"):
        find(card)


def test_a_card_of_a_newer_format_asks_for_a_newer_allfocus(tmp_path: Path) -> None:
    card = put(tmp_path, "mine")
    card.write_text(json.dumps({**json.loads(card.read_text()), "format": FORMAT + 1}))
    with pytest.raises(WeightsError, match="try: a newer allfocus"):
        find(card)


def test_every_shipped_model_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHIPPED", Path(store.__file__).parent)
    for model in installed():
        model.verify()
        assert model.weights.stem == model.card.name
        assert model.card.trained_on
        assert model.card.command
