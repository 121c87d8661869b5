from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from allfocus.cli.main import main
from allfocus.nets import registry
from allfocus.nets.registry import Description
from allfocus.weights import store
from allfocus.weights.card import Card


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with one model, whose graph is missing, and nothing shipped."""
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("ALLFOCUS_MODELS", str(folder))
    card = Card(
        "mine", {}, 10_484_781, 16, 96, "0" * 64, "CC0-1.0", steps=500,
        scores={"real-val": {"psnr_fit": 27.5453, "mae": 0.0348}},
        macs=92_500_000_000,
        known_failures=("Small text.",),
    )  # fmt: skip
    card.write(folder / "mine.json")
    (folder / "mine.safetensors").write_bytes(bytes(2_000_000))
    return folder


def test_a_table_of_what_to_choose_by(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models"])
    told = capsys.readouterr().out.splitlines()
    heads = ["model", "views", "parameters, M", "MACs, B", "size, MB"]
    heads += ["PSNR", "PSNR-fit", "PSNR-aligned", "SSIM", "MAE x 0.1", "LPIPS"]
    assert re.split("  +", told[0]) == heads
    assert told[1].split() == ["mine", "1", "10.48", "92.5", "2.0", "-", "27.55", "-", "-", "0.348", "-"]
    assert told[-1] == f"your own models go into {own}"


def test_a_name_tells_everything(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["models", "mine"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines() == [
        "mine",
        "  10.48 M parameters, 92.5 B MACs at 1280x720, 2.0 MB, CC0-1.0",
        "  reach 96 px, tiles of 1024 px, 500 training steps",
        "  real-val: PSNR-fit 27.55, MAE x 0.1 0.348",
        "  known failure: Small text.",
        f"  {own / 'mine.safetensors'} (a file is missing)",
    ]


def test_machines_get_json(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["default"] == "ifan-fast"
    (model,) = told["models"]
    assert (model["name"], model["parameters"], model["bytes"], model["complete"]) == (
        "mine",
        10_484_781,
        2_000_000,
        False,
    )


def test_all_adds_the_networks_and_says_which_have_weights(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {name: registry.ENTRIES[name] for name in ("ifan", "ablation-fd")}
    monkeypatch.setattr(registry, "ENTRIES", some)
    with pytest.raises(SystemExit):
        main(["models", "--all", "--json"])
    networks = {network["name"]: network for network in json.loads(capsys.readouterr().out)["networks"]}
    assert networks["ifan"]["parameters"] == 10_476_996
    assert networks["ifan"]["weights"] == ["mine"]
    assert networks["ablation-fd"]["weights"] == []
    monkeypatch.setattr(registry, "describe_all", lambda: [Description("ifan", "the one", 2_000_000, 0, 0, 3 * 10**9)])
    with pytest.raises(SystemExit):
        main(["models", "--all"])
    told = capsys.readouterr().out.splitlines()[-1].split()
    assert told == ["ifan", "2.00", "3.0", "mine", "the", "one"]


def test_nothing_is_here(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "mine.json").unlink()
    with pytest.raises(SystemExit):
        main(["models"])
    assert capsys.readouterr().out.startswith("no models are installed\n")


def test_a_card_that_cannot_be_read_is_told_in_one_line(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "mine.json").write_text("{")
    with pytest.raises(SystemExit) as ended:
        main(["models"])
    assert ended.value.code == 2
    assert "mine.json is not JSON" in capsys.readouterr().err
