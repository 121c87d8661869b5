from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from allfocus.capture import session as module
from allfocus.capture.demo import PlantedScene, make_demo
from allfocus.capture.pair import PairOptions
from allfocus.capture.pairing import Exposures, pair_up
from allfocus.capture.session import Session, run
from allfocus.data.dpdd import load
from allfocus.errors import DataError, OptionError, OutputError


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
    article = next(part for part in page.split("<article>") if "moving object (" in part)
    assert '<tr class="reject"><td>largest difference' in article and '<tr class=""><td>noise' in article


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


def test_pictures_that_an_older_record_does_not_know_are_made_again(
    demo: tuple[Path, list[PlantedScene]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with other settings that is killed between a pair's pictures and its record, then the first settings."""
    folder, scenes = demo
    good = next(scene.name for scene in scenes if not scene.fault)
    shots = [shot for shot in pair_up(folder / "wide", folder / "narrow") if shot.name == good]
    list(run(shots, Session(tmp_path)))
    before = (tmp_path / "pairs" / f"{good}.source.png").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_preview", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            list(run(shots, Session(tmp_path, bits=16)))
    assert (tmp_path / "pairs" / f"{good}.source.png").read_bytes() != before
    (step,) = run(shots, Session(tmp_path))
    assert not step.kept and (tmp_path / "pairs" / f"{good}.source.png").read_bytes() == before


def everything(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ended(process: int, within_s: float = 30) -> bool:
    """Whether a process of somebody else has ended, or does so soon."""
    status = Path(f"/proc/{process}/stat")
    for _ in range(int(within_s / 0.1)):
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are looked up in /proc")
@pytest.mark.parametrize("jobs", [1, 2])
def test_after_random_kills_every_byte_is_as_undisturbed(tmp_path: Path, jobs: int) -> None:
    make_demo(tmp_path / "session", 4, ("moving", "alone", "resized", "black"), (160, 192), seed=6)
    sides = [str(tmp_path / "session" / side) for side in ("wide", "narrow")]

    def command(output: Path) -> list[str]:
        line = [sys.executable, "-m", "allfocus", "capture", "make", *sides, "-o", str(output)]
        return [*line, "--val", "0.25", "--test", "0.25", "--jobs", str(jobs)]

    started = time.monotonic()
    subprocess.run(command(tmp_path / "undisturbed"), check=True, capture_output=True)
    whole_s = time.monotonic() - started
    wanted = everything(tmp_path / "undisturbed")
    assert "manifest.json" in wanted and sum(name.startswith("train_c/") for name in wanted) >= 2
    chance = random.Random(20 + jobs)
    killed = at_work = number = 0
    while killed < 8 and number < 20:
        output, number = tmp_path / f"{number}", number + 1
        while True:
            started = time.monotonic()
            process = subprocess.Popen(command(output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                assert process.wait(chance.uniform(0.2, 0.8) * whole_s) == 0
            except subprocess.TimeoutExpired:
                workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                process.send_signal(signal.SIGKILL)
                assert process.wait(60) == -signal.SIGKILL
                assert all(ended(int(worker)) for worker in workers)
                killed, at_work = killed + 1, at_work + (output.exists() and bool(everything(output)))
            else:  # a machine that has become faster needs shorter waits; a resumed run is short by itself
                whole_s = max(0.7 * whole_s, min(whole_s, time.monotonic() - started))
                break
        assert everything(output) == wanted
    assert killed >= 8 and at_work >= 4, "too few runs were caught at work"


def test_a_damaged_file_is_a_reason_not_a_crash(demo: tuple[Path, list[PlantedScene]], tmp_path: Path) -> None:
    folder, scenes = demo
    good = next(scene for scene in scenes if not scene.fault)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((folder / "wide" / f"{good.name}.jpg").read_bytes()[:900])
    (step,) = run([Exposures("x", (folder / "wide" / f"{good.name}.jpg",), (broken,))], Session(tmp_path / "out"))
    assert step.record["reasons"] == ["unreadable"] and step.record["detail"]


@pytest.mark.parametrize("layout", ["realdof", "dpdd"])
def test_photos_are_never_replaced(demo: tuple[Path, list[PlantedScene]], tmp_path: Path, layout: str) -> None:
    """Photos that already lie as the layout would have them, and the data set asked for in the same place."""
    folder, scenes = demo
    good = next(scene.name for scene in scenes if not scene.fault)
    sides = [tmp_path / ("" if layout == "realdof" else "test_c") / role for role in ("source", "target")]
    for side in sides:
        side.mkdir(parents=True)
        (side / "one.png").write_bytes((folder / "truth" / f"{good}.png").read_bytes())
    before = everything(tmp_path)
    with pytest.raises(OutputError, match="is the input itself"):
        list(run(pair_up(sides[0], sides[1]), Session(tmp_path, layout=layout)))
    assert everything(tmp_path) == before


def test_refusals_teach(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one name per scene"):
        list(run([Exposures("a"), Exposures("a")], Session(tmp_path)))
    with pytest.raises(OptionError, match="8 or 16"):
        Session(tmp_path, bits=12)
    (tmp_path / "report.csv").write_text("name,decision\na,maybe\n")
    with pytest.raises(DataError, match="accept, reject or nothing"):
        list(run([Exposures("a")], Session(tmp_path, PairOptions())))
