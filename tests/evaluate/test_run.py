from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from allfocus.data import registry
from allfocus.data.pairs import PairSet
from allfocus.errors import DataError, InputError, OptionError, WeightsError
from allfocus.evaluate import methods
from allfocus.evaluate.method import Conditions, MethodInput, Outcome
from allfocus.evaluate.methods import MethodSpec
from allfocus.evaluate.rows import SCORES, mean_scores, read_scores, read_summary
from allfocus.evaluate.run import EvaluationOptions, EvaluationStep, evaluate
from allfocus.metrics import psnr, psnr_fit


class Brighten:
    """Undoes what the tiny set did to its targets; can be told to fail at a scene."""

    upright = True
    fails_at = ""
    seen: list[MethodInput]

    def __init__(self, spec: MethodSpec, pairs: PairSet) -> None:
        self.label = spec.label
        self.conditions = Conditions("baseline", precision="float64")
        self.seen = []

    def restore(self, given: MethodInput) -> Outcome:
        if given.name == Brighten.fails_at:
            raise InputError("no light", "some", "a lamp")
        self.seen.append(given)
        return Outcome((given.photo - 40 / 255) * 2, np.full(given.photo.shape[:2], 2.0, np.float32))


@pytest.fixture(autouse=True)
def brighten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods.REGISTRY, "brighten", Brighten)
    monkeypatch.setattr(Brighten, "fails_at", "")
    monkeypatch.setenv("ALLFOCUS_LPIPS", "/nonexistent")


def run(pairs: PairSet, output: Path, *texts: str, **options: Any) -> list[dict[str, Any]]:
    steps = evaluate(pairs, [MethodSpec(text) for text in texts], EvaluationOptions(output=output, **options))
    return [step for step in steps if isinstance(step, dict)]


def test_rows_and_means(tiny: PairSet, tmp_path: Path) -> None:
    summary, restored = run(tiny, tmp_path / "out", "input", "brighten")
    rows = read_scores(tmp_path / "out" / "tiny" / "input.csv")
    assert [row["name"] for row in rows] == ["scene0", "scene1", "scene2"]
    first = tiny.pairs[0]
    assert first.target is not None
    assert rows[0]["psnr"] == pytest.approx(psnr(tiny.read(first.source), tiny.read(first.target)), rel=1e-8)
    assert rows[0]["psnr_fit"] == pytest.approx(psnr_fit(tiny.read(first.source), tiny.read(first.target)), rel=1e-8)
    assert summary["scores"]["psnr"] == pytest.approx(math.fsum(row["psnr"] for row in rows) / 3)
    assert summary["groups"]["night"]["psnr"] == pytest.approx((rows[0]["psnr"] + rows[2]["psnr"]) / 2)
    assert restored["scores"]["psnr"] > summary["scores"]["psnr"] + 10
    assert restored["scores"]["reblur"] is not None and summary["scores"]["reblur"] is None
    assert restored["scores"]["shift_r"] > 0 and summary["scores"]["shift_r"] == 0
    assert summary["lpips"].startswith("not computed") and summary["scores"]["lpips"] is None


def test_summary_says_under_what_conditions(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "out", "brighten", command="allfocus eval brighten")
    text = (tmp_path / "out" / "tiny" / "brighten.json").read_text()
    stored = json.loads(text)
    assert stored["complete"] is True
    assert stored["protocol"]["id"].startswith("8bit.whole-photo.float.whole.float64.")
    assert set(stored["protocol"]["metrics"]) >= {"psnr", "ssim", "lpips"}
    assert {"processor", "cores"} <= set(stored["machine"])
    assert stored["timing"]["seconds_median"] >= 0 and stored["timing"]["peak_mib"] > 0
    assert (stored["images"], stored["of"], stored["command"]) == (3, 3, "allfocus eval brighten")
    assert str(tmp_path) not in text


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.suffix in (".csv", ".png")}


@pytest.mark.parametrize("torn", [b"", b"scene9,night,37,2"])
def test_a_run_that_was_stopped_continues_to_the_same_files(
    tiny: PairSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bytes
) -> None:
    run(tiny, tmp_path / "whole", "brighten", save_images=True)
    monkeypatch.setattr(Brighten, "fails_at", "scene1")
    with pytest.raises(InputError, match="scene1: no light"):
        run(tiny, tmp_path / "twice", "brighten", save_images=True)
    scores = tmp_path / "twice" / "tiny" / "brighten.csv"
    with scores.open("ab") as file:
        file.write(torn)
    monkeypatch.setattr(Brighten, "fails_at", "")
    run(tiny, tmp_path / "twice", "brighten", save_images=True)
    whole, twice = contents(tmp_path / "whole"), contents(tmp_path / "twice")
    del whole["brighten.timing.csv"], twice["brighten.timing.csv"]
    assert whole == twice
    ours, theirs = (read_summary(tmp_path / name / "tiny" / "brighten.json") for name in ("whole", "twice"))
    assert ours["scores"] == theirs["scores"]


def test_finished_rows_are_not_computed_again(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "out", "brighten", limit=2)
    steps = list(evaluate(tiny, [MethodSpec("brighten")], EvaluationOptions(output=tmp_path / "out")))
    assert [(step.done, step.row is None) for step in steps if isinstance(step, EvaluationStep)] == [
        (2, True),
        (3, False),
    ]
    assert read_summary(tmp_path / "out" / "tiny" / "brighten.json")["images"] == 3


def test_a_photo_that_changed_is_scored_again_and_no_other(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "out", "brighten")
    before = read_scores(tmp_path / "out" / "tiny" / "brighten.csv")
    changed = tiny.pairs[1].source
    pixels = pyvips.Image.new_from_file(str(changed)).numpy()
    pyvips.Image.new_from_array(np.clip(pixels.astype(int) + 30, 0, 255).astype(np.uint8)).write_to_file(str(changed))
    (summary,) = run(tiny, tmp_path / "out", "brighten")
    after = {row["name"]: row for row in read_scores(tmp_path / "out" / "tiny" / "brighten.csv")}
    assert [after[row["name"]]["psnr"] == row["psnr"] for row in before] == [True, False, True]
    assert summary["images"] == 3
    stored = read_summary(tmp_path / "out" / "tiny" / "brighten.json")
    assert sorted(stored["contents"]) == ["scene0", "scene1", "scene2"]


def test_a_changed_result_in_a_folder_is_scored_again(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "out", "input", save_images=True)
    results = tmp_path / "out" / "tiny" / "input"
    (first,) = run(tiny, tmp_path / "out", f"theirs=folder:{results}")
    (results / "scene0.png").write_bytes((results / "scene1.png").read_bytes())
    (again,) = run(tiny, tmp_path / "out", f"theirs=folder:{results}")
    assert again["scores"]["psnr"] != first["scores"]["psnr"]


def test_a_part_may_be_spread_over_the_set(tiny: PairSet, tmp_path: Path) -> None:
    (summary,) = run(tiny, tmp_path / "out", "input", every=2)
    assert (summary["images"], summary["of"]) == (2, 3)
    assert [row["name"] for row in read_scores(tmp_path / "out" / "tiny" / "input.csv")] == ["scene0", "scene2"]


@pytest.mark.parametrize(("change", "named"), [({"rounding": "8-bit"}, "protocol"), ({"crop_multiple": 8}, "protocol")])
def test_another_protocol_does_not_continue_a_file(
    tiny: PairSet, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    run(tiny, tmp_path / "out", "brighten")
    with pytest.raises(DataError, match=f"was made with {named} .*--fresh"):
        run(tiny, tmp_path / "out", "brighten", **change)
    (summary,) = run(tiny, tmp_path / "out", "brighten", fresh=True, **change)
    assert summary["images"] == 3


def test_another_edition_of_a_set_does_not_continue_a_file(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "out", "brighten")
    with pytest.raises(DataError, match="was made with set 'tiny', this run has 'tiny 2'"):
        run(dataclasses.replace(tiny, edition="2"), tmp_path / "out", "brighten")


def test_crop_and_rounding(tiny: PairSet, tmp_path: Path) -> None:
    (floats,) = run(tiny, tmp_path / "a", "brighten", crop_multiple=8)
    (rounded,) = run(tiny, tmp_path / "b", "brighten", crop_multiple=8, rounding="8-bit")
    assert (tmp_path / "a" / "tiny" / "brighten.csv").read_text().splitlines()[1].startswith("scene0,night,32,24,")
    assert floats["protocol"]["id"] != rounded["protocol"]["id"]
    assert ".crop8.8-bit." in rounded["protocol"]["id"]


def test_two_processes_write_the_same_scores(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "one", "input", save_images=True)
    run(tiny, tmp_path / "two", "input", save_images=True, jobs=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    del one["input.timing.csv"], two["input.timing.csv"]
    assert one == two


def test_saved_pictures_are_scored_as_somebodys_results(tiny: PairSet, tmp_path: Path) -> None:
    (ours,) = run(tiny, tmp_path / "out", "brighten", save_images=True, rounding="8-bit")
    folder = tmp_path / "out" / "tiny" / "brighten"
    (theirs,) = run(tiny, tmp_path / "out", f"theirs=folder:{folder}")
    assert theirs["method"] == "theirs"
    assert theirs["scores"]["psnr"] == pytest.approx(ours["scores"]["psnr"], abs=1e-6)
    assert theirs["protocol"]["rounding"] == "file"
    assert str(tmp_path) not in json.dumps(theirs)


def test_photos_on_their_side_are_turned_for_the_network(tiny: PairSet, tmp_path: Path, monkeypatch: Any) -> None:
    built: list[Brighten] = []

    def build(spec: MethodSpec, pairs: PairSet) -> Brighten:
        built.append(Brighten(spec, pairs))
        return built[0]

    monkeypatch.setitem(methods.REGISTRY, "brighten", build)
    turned = replace(tiny, pairs=tuple(replace(pair, quarter_turns=1) for pair in tiny))
    (lying,) = run(turned, tmp_path / "lying", "brighten")
    monkeypatch.setitem(methods.REGISTRY, "brighten", Brighten)
    (upright,) = run(tiny, tmp_path / "upright", "brighten")
    np.testing.assert_array_equal(built[0].seen[0].photo, np.rot90(tiny.read(tiny.pairs[0].source)))
    assert lying["scores"] == upright["scores"]


def test_without_targets_only_what_needs_none(tmp_path: Path, tiny: PairSet) -> None:
    photos = registry.load("photos", tiny.root / "source")
    (summary,) = run(photos, tmp_path / "out", "brighten")
    assert summary["scores"]["psnr"] is None and summary["scores"]["ringing"] >= 0


@pytest.mark.parametrize("text", ["no-such-model", "folder:nowhere"])
def test_a_method_that_cannot_run_is_refused_before_anything_runs(tiny: PairSet, tmp_path: Path, text: str) -> None:
    with pytest.raises((WeightsError, DataError)):
        run(tiny, tmp_path / "out", "input", text)
    assert not (tmp_path / "out" / "tiny" / "input.csv").exists()


def test_one_name_twice(tiny: PairSet, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="LABEL=folder:PATH"):
        run(tiny, tmp_path / "out", "input", "input")


def test_a_result_of_another_size(tiny: PairSet, tmp_path: Path) -> None:
    for index in range(3):
        path = tmp_path / "theirs" / f"scene{index}.png"
        path.parent.mkdir(exist_ok=True)
        pyvips.Image.black(10, 10, bands=3).write_to_file(str(path))
    with pytest.raises(DataError, match=r"scene0: .* has 10x10 px"):
        run(tiny, tmp_path / "out", f"folder:{tmp_path / 'theirs'}")


def test_a_folder_may_hold_the_results_of_a_part(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "out", "brighten", save_images=True, limit=2)
    folder = tmp_path / "out" / "tiny" / "brighten"
    with pytest.raises(DataError, match="none for scene2"):
        run(tiny, tmp_path / "out", f"theirs=folder:{folder}")
    (summary,) = run(tiny, tmp_path / "out", f"theirs=folder:{folder}", limit=2)
    assert (summary["images"], summary["of"]) == (2, 3)


def test_a_result_that_is_no_photo_is_found_before_anything_runs(tiny: PairSet, tmp_path: Path) -> None:
    run(tiny, tmp_path / "out", "brighten", save_images=True)
    folder = tmp_path / "out" / "tiny" / "brighten"
    (folder / "scene2.png").write_bytes((folder / "scene2.png").read_bytes()[:-30])
    with pytest.raises(DataError, match="scene2"):
        run(tiny, tmp_path / "other", "input", f"theirs=folder:{folder}")
    assert not (tmp_path / "other" / "tiny" / "input.csv").exists()


def test_nan_is_not_scored(tiny: PairSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brighten, "restore", lambda self, given: Outcome(given.photo * np.float32(np.nan)))
    with pytest.raises(DataError, match="NaN"):
        run(tiny, tmp_path / "out", "brighten")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_unwritable_output(tiny: PairSet, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(Exception, match="-o DIR"):
        run(tiny, tmp_path / "out", "input")


@pytest.mark.parametrize("change", [{"rounding": "up"}, {"jobs": 0}, {"limit": 0}, {"every": 0}, {"crop_multiple": 0}])
def test_options_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        EvaluationOptions(**change)


def test_one_photo_that_equals_its_target_does_not_decide_the_mean() -> None:
    row = dict.fromkeys(SCORES, 0.5)
    rows = [{**row, "psnr": 30.0, "psnr_fit": 32.0}, {**row, "psnr": math.inf, "psnr_fit": 127.0}]
    means = mean_scores(rows)
    assert (means["psnr"], means["psnr_fit"], means["ssim"]) == (45.0, 46.0, 0.5)
