from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from allfocus.errors import WeightsError
from allfocus.weights.card import FORMAT, Card, TrainingData

CARD = Card(
    name="ifan-fast",
    architecture={"iterations": 17, "unshuffle": 2, "tied": False},
    parameters=10_484_781,
    multiple=16,
    context_px=96,
    sha256="ab" * 32,
    licence="Apache-2.0",
    trained_on=(TrainingData("alps", "CC0-1.0", 40, "a site"), TrainingData("städte", "CC-BY-4.0", 12)),
    simulator={"aperture": [0.1, 0.2], "profile": "disc"},
    steps=8000,
    seed=3,
    scores={"real-val": {"psnr_fit_gain_db": 0.43, "lpips": 0.27}},
    known_failures=("Text smaller than 4 px.",),
    command="allfocus train --provenance ifan-fast",
)


def test_it_survives_writing_and_reading(tmp_path: Path) -> None:
    CARD.write(tmp_path / "ifan-fast.json")
    assert Card.read(tmp_path / "ifan-fast.json") == CARD
    assert [path.name for path in tmp_path.iterdir()] == ["ifan-fast.json"]


@given(
    name=some.text(min_size=1),
    steps=some.integers(0, 10**9),
    failures=some.lists(some.text()),
    scores=some.dictionaries(some.text(), some.dictionaries(some.text(), some.floats(allow_nan=False))),
)
def test_any_card_survives(name: str, steps: int, failures: list[str], scores: dict) -> None:
    card = replace(CARD, name=name, steps=steps, known_failures=tuple(failures), scores=scores)
    assert Card.from_json(card.to_json()) == card


def test_what_has_a_default_may_be_absent() -> None:
    kept = ("format", "name", "architecture", "parameters", "multiple", "context_px", "sha256", "licence")
    values = {key: value for key, value in json.loads(CARD.to_json()).items() if key in kept}
    card = Card.from_json(json.dumps(values))
    assert (card.views, card.inputs, card.outputs) == (1, ("photo",), ("residual", "disparity"))


def changed(**values: object) -> str:
    return json.dumps({**json.loads(CARD.to_json()), **values})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "mine.json is not JSON"),
        ("[]", "has no format number"),
        ("{}", "has no format number"),
        (changed(format=FORMAT + 1), f"a card of format {FORMAT + 1}; expected format {FORMAT}, .*a newer allfocus"),
        (changed(colour_space="P3"), r"unknown fields \['colour_space'\]"),
        (json.dumps({"format": FORMAT, "name": "x"}), r"lacks \['architecture', 'context_px'"),
        (changed(multiple="16"), 'multiple is "16", not a whole number'),
        (changed(steps=True), "steps is true, not a whole number"),
        (changed(scores=[]), r"scores is \[\], not an object"),
        (changed(trained_on=[{"group": "x"}]), "trained_on has other fields"),
    ],
)
def test_another_card_is_refused_with_its_reason(text: str, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        Card.from_json(text, "mine.json")


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.json cannot be read"):
        Card.read(tmp_path / "gone.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsError, match=r"bytes\.json cannot be read"):
        Card.read(tmp_path / "bytes.json")
