from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from allfocus.capture import session as module
from allfocus.capture.demo import PlantedScene
from allfocus.capture.pair import PairOptions
from allfocus.capture.pairing import Exposures, pair_up
from allfocus.capture.session import Session, run
from allfocus.data.dpdd import load
from allfocus.errors import DataError, OptionError


@pytest.fixture(scope="module")
def made(demo: tuple[Path, list[PlantedScene]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, _ = demo
    output = tmp_path_factory.mktemp("pairs")
    list(run(pair_up(folder / "wide", folder / "narrow"), Session(output)))
    return output


def rows(output: Path) -> dict[str, dict[str, str]]:
    with (output / "report.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_good_pairs_pass_and_each_fault_has_its_reason(demo: tuple[Path, list[PlantedScene]], made: Path) -> None:
    found = rows(made)
    for scene in demo[1]:
        row = found[scene.name]
        assert row["reasons"].split("; ")[0] == scene.reason, scene
        assert row["verdict"] == ("reject" if scene.fault else "accept")
    page = (made / "report.html").read_text()
    assert "2 of 8 pairs accepted" in page and "moving object" in page and "blink" in page


def test_what_was_made_is_read_by_the_data_set(made: Path) -> None:
    pairs = load(made, "train")
    assert len(pairs) == 2
    for pair in pairs:
        assert pair.target is not None
        source, target = pairs.read(pair.source), pairs.read(pair.target)
        assert source.shape == target.shape and source.shape[0] % 8 == 0 and source.shape[1] % 8 == 0
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["scenes"]["train"] == 2
    whole = next(pair for pair in manifest["pairs"] if pair["split"])
    assert all(len(value) == 64 for value in [*whole["inputs_sha256"].values(), *whole["files"].values()])


def test_a_second_run_makes_nothing_and_a_person_overrules(
    demo: tuple[Path, list[PlantedScene]], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, scenes = demo
    monkeypatch.setattr(module, "make", lambda *_: pytest.fail("made again"))
    moving = next(scene.name for scene in scenes if scene.fault == "moving")
    good = next(scene.name for scene in scenes if not scene.fault)
    before = (made / "report.csv").read_text()
    changed = before.replace(f"{moving},,", f"{moving},accept,").replace(f"{good},,", f"{good},Reject,")
    (made / "report.csv").write_text(changed)
    shots = pair_up(folder / "wide", folder / "narrow")
    assert all(step.kept for step in run(shots, Session(made)))
    found = rows(made)
    assert found[moving]["verdict"] == "accept" and found[good]["verdict"] == "reject"
    assert found[good]["decision"] == "reject" and "by a person" in (made / "report.html").read_text()
    assert {pair.name for pair in load(made, "train")} == {
        name for name, row in found.items() if row["split"] == "train"
    }
    (made / "report.csv").write_text(before)
    list(run(shots, Session(made)))
    assert rows(made)[good]["verdict"] == "accept"


def test_a_killed_run_goes_on_where_it_was(
    demo: tuple[Path, list[PlantedScene]], made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, scenes = demo
    quick = [scene.name for scene in scenes if scene.fault in ("alone", "resized", "black", "wall")]
    shots = [shot for shot in pair_up(folder / "wide", folder / "narrow") if shot.name in quick]
    steps = run(shots, Session(tmp_path))
    for _ in range(2):
        next(steps)
    steps.close()
    assert not (tmp_path / "report.csv").exists()
    torn = tmp_path / "pairs" / f"{shots[2].name}.json"
    torn.write_text('{"fingerprint": ')
    kept = [step.kept for step in run(shots, Session(tmp_path))]
    assert sum(kept) == 2 and len(rows(tmp_path)) == len(quick)


def test_a_damaged_file_is_a_reason_not_a_crash(demo: tuple[Path, list[PlantedScene]], tmp_path: Path) -> None:
    folder, scenes = demo
    good = next(scene for scene in scenes if not scene.fault)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((folder / "wide" / f"{good.name}.jpg").read_bytes()[:900])
    (step,) = run([Exposures("x", (folder / "wide" / f"{good.name}.jpg",), (broken,))], Session(tmp_path / "out"))
    assert step.record["reasons"] == ["unreadable"] and step.record["detail"]


def test_refusals_teach(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one name per scene"):
        list(run([Exposures("a"), Exposures("a")], Session(tmp_path)))
    with pytest.raises(OptionError, match="8 or 16"):
        Session(tmp_path, bits=12)
    (tmp_path / "report.csv").write_text("name,decision\na,maybe\n")
    with pytest.raises(DataError, match="accept, reject or nothing"):
        list(run([Exposures("a")], Session(tmp_path, PairOptions())))
