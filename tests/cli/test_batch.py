"""A folder through `allfocus deblur`: the journal, what it skips, and what it says before it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allfocus.batch.journal import NAME, SCRATCH, Journal
from allfocus.cli.main import main
from batches import StandInOrder, contents, write_photo


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of every order is the stand-in."""
    monkeypatch.setattr("allfocus.batch.work.Order.deblurrer", StandInOrder.deblurrer)
    monkeypatch.setattr("allfocus.batch.work.Order.seconds", 0.0, raising=False)


def run(*arguments: object) -> int:
    try:
        main(["deblur", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def rows(capfd: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, name in enumerate(("a.png", "b.jpg", "below/c.tif")):
        write_photo(tmp_path / "in" / name, seed=index)
    return tmp_path / "in"


def test_a_folder_is_done_once_and_status_tells_of_it(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert run(folder, "-o", out, "--json") == 2
    assert sorted(row["status"] for row in rows(capfd)) == ["done", "done", "done", "failed"]
    assert sorted(contents(out)) == ["a.png", "b.jpg", "below/c.tif"] and (out / NAME).is_file()
    assert run(folder, "-o", out, "--json") == 2
    assert sorted(row["status"] for row in rows(capfd)) == ["failed", "skipped", "skipped", "skipped"]
    (folder / "broken.png").unlink()
    assert run(folder, "-o", out) == 0
    assert "0 of 3 photos done, 3 skipped" in capfd.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["status", str(out)])
    told = capfd.readouterr().out
    assert "3 photos" in told and "done" in told and "1 photo," in told and "broken.png" in told
    with pytest.raises(SystemExit, match="0"):
        main(["status", str(out), "--json"])
    assert json.loads(capfd.readouterr().out)["photos"] == {"done": 3, "failed": 1}


def test_failures_are_tried_again_when_asked(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    run(folder, "-o", tmp_path / "out")
    assert "--retry-failed tries again" not in capfd.readouterr().err
    run(folder, "-o", tmp_path / "out")
    assert "--retry-failed tries again" in capfd.readouterr().err
    assert run(folder, "-o", tmp_path / "out", "--retry-failed") == 2
    with Journal(str(tmp_path / "out")) as journal:
        assert len(journal.summary().failures) == 1


def test_a_dry_run_tells_and_writes_nothing(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "-o", tmp_path / "out", "--dry-run", "--json") == 0
    (row,) = rows(capfd)
    assert row["dry_run"]["photos"] == 3 and row["dry_run"]["megapixels"] == pytest.approx(0.00576, abs=1e-3)
    assert row["dry_run"]["seconds"] > 0 and row["dry_run"]["memory_mb"] > 0 and row["dry_run"]["space_mb"] >= 0
    assert not (tmp_path / "out").exists()
    run(folder, "-o", tmp_path / "out")
    capfd.readouterr()
    assert run(folder, "-o", tmp_path / "out", "--dry-run") == 0
    assert "0 photos, 0.0 megapixels to do\n3 done before" in capfd.readouterr().out


def test_an_output_that_is_a_file_and_options_without_a_folder_are_refused(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")
    assert run(folder, "-o", tmp_path / "out") == 2
    assert "is a file" in capfd.readouterr().err
    assert run(folder / "a.png", "--dry-run") == 2
    assert "-o FOLDER" in capfd.readouterr().err
    assert run("s3://bucket/photos") == 2
    assert "addresses as input without -o" in capfd.readouterr().err
    assert run("s3://bucket/photos", "-o", "one.jpg") == 2
    assert "a folder" in capfd.readouterr().err


def test_addresses_are_read_and_written(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("ALLFOCUS_CACHE", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    for name, data in contents(folder).items():
        system.pipe_file(f"/lab/in/{name}", data)
    assert run("memory://lab/in", "-o", "memory://lab/out", "--json") == 0
    assert sorted(row["output"] for row in rows(capfd)) == [
        f"memory://lab/out/{name}" for name in ("a.png", "b.jpg", "below/c.tif")
    ]
    assert run(folder, "-o", tmp_path / "out") == 0
    for name, data in contents(tmp_path / "out").items():
        assert system.cat_file(f"/lab/out/{name}") == data
    assert run(folder, "-o", "memory://lab/out") == 0
    assert "0 of 3 photos done, 3 skipped" in capfd.readouterr().err
    system.store.clear()


def test_a_tree_with_corrupt_vanished_and_blocked_photos_is_done_but_for_those(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, out = tmp_path / "in", tmp_path / "out"
    for index in range(60):
        write_photo(place / f"{index % 3}" / f"{index}.{('png', 'jpg', 'webp')[index % 3]}", 24, 20, seed=index)
    for name in ("0/12.png", "1/31.jpg", "2/50.webp"):  # 5 %
        (place / name).write_bytes((place / name).read_bytes()[:40])
    write_photo(place / "blocked" / "a.png", seed=70)
    out.mkdir()
    (out / "blocked").write_text("a file where a folder has to be")
    plan = Journal.plan

    def planned_and_then_one_is_gone(journal: Journal, *given: Any, **named: Any) -> Any:
        made = plan(journal, *given, **named)
        (place / "0" / "3.png").unlink(missing_ok=True)
        return made

    monkeypatch.setattr(Journal, "plan", planned_and_then_one_is_gone)
    assert run(place, "-o", out, "--json") == 2
    told = rows(capfd)
    failed = {Path(row["source"]).name: row["error"] for row in told if row["status"] == "failed"}
    assert sorted(failed) == ["12.png", "3.png", "31.jpg", "50.webp", "a.png"]
    assert "no longer exists" in failed["3.png"] and "blocked" in failed["a.png"]
    assert len(told) == 61 and sum(row["status"] == "done" for row in told) == 56
    with Journal(str(out)) as journal:
        summary = journal.summary()
    assert summary.photos == {"done": 56, "failed": 5} and len(summary.failures) == 5
    assert all(failure.error.strip() and "\n" not in failure.error for failure in summary.failures)
    assert not (out / SCRATCH).exists()
