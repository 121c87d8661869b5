"""The journal: what is known after any step, and what a second process may do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allfocus.batch.entries import Claim, PhotoTask, Result
from allfocus.batch.journal import NAME, Journal
from allfocus.batch.store import content_hash
from allfocus.errors import JournalError, OptionError, OutputError
from allfocus.scratch import ScratchFolder
from batches import tasks_in

FACTS = {"width": 10, "height": 10, "seconds": 0.5, "notes": ["a note"]}


def task(name: str, megapixels: float = 1.0, stamp: str = "1") -> PhotoTask:
    return PhotoTask(source=f"/photos/{name}", name=name, bytes=100, stamp=stamp, megapixels=megapixels)


def started(out: Path, key: str = "key") -> Journal:
    journal = Journal(str(out))
    journal.start(key, {"strength": 1}, "test")
    return journal


def finish(journal: Journal, claim: Claim, out: Path, data: bytes = b"sharp") -> None:
    place = out / claim.name
    place.write_bytes(data)
    journal.written(claim, Result(f"c-{claim.name}", content_hash(place), len(data), FACTS))
    journal.done(claim)


def test_photos_are_claimed_once_and_large_ones_first(tmp_path: Path) -> None:
    with started(tmp_path) as journal:
        planned = journal.plan([task("s", 1), task("l", 9), task("m", 4)], "key", "w")
        assert (planned.queued, planned.megapixels) == (3, 14)
        claims = [journal.claim() for _ in range(4)]
        assert [claim and claim.name for claim in claims] == ["l", "m", "s", None]


def test_the_smallest_may_be_claimed_first(tmp_path: Path) -> None:
    with started(tmp_path) as journal:
        journal.plan([task("m", 4), task("l", 9), task("s", 1)], "key", "w")
        claims = [journal.claim(smallest=True), journal.claim(), journal.claim(smallest=True)]
        assert [claim and claim.name for claim in claims] == ["s", "l", "m"]


def test_only_the_photos_that_were_asked_for_are_claimed(tmp_path: Path) -> None:
    with started(tmp_path) as journal:
        journal.plan([task("a")], "key", "w")
        journal.plan([task("b")], "key", "w")
        assert [claim and claim.name for claim in (journal.claim(), journal.claim())] == ["b", None]


def test_closing_gives_back_what_is_held(tmp_path: Path) -> None:
    with started(tmp_path) as journal:
        journal.plan([task("a")], "key", "w")
        journal.claim()
    with started(tmp_path) as journal:
        assert journal.summary().photos == {"queued": 1}


def test_a_photo_that_ended_two_processes_comes_last(tmp_path: Path) -> None:
    for _ in range(2):
        dying = started(tmp_path)
        dying.plan([task("deadly", 9), task("a", 2), task("b", 1)], "key", "w")
        claim = dying.claim()
        assert claim is not None and claim.name == "deadly"
        assert dying.owner is not None and dying.owner._held is not None
        dying.owner._held.close()
    with started(tmp_path) as journal:
        journal.plan([task("deadly", 9), task("a", 2), task("b", 1)], "key", "w")
        assert [claim.name for claim in iter(journal.claim, None)] == ["a", "b", "deadly"]


@pytest.mark.parametrize("lies", [True, False])
def test_a_process_that_died_around_the_rename_left_a_result_or_none(tmp_path: Path, lies: bool) -> None:
    dying = started(tmp_path)
    dying.plan([task("a")], "key", "w")
    claim = dying.claim()
    assert claim is not None
    (tmp_path / "scratch").write_bytes(b"sharp")
    dying.written(claim, Result("c", content_hash(tmp_path / "scratch"), 5, FACTS))
    if lies:
        (tmp_path / "scratch").rename(tmp_path / "a")
    assert dying.owner is not None and dying.owner._held is not None
    dying.owner._held.close()  # what the end of a process does to its lock
    with started(tmp_path) as journal:
        planned = journal.plan([task("a")], "key", "w")
        assert (planned.done, planned.queued) == ((1, 0) if lies else (0, 1))


def test_a_file_of_somebody_else_that_appeared_meanwhile_is_not_taken_for_ours(tmp_path: Path) -> None:
    dying = started(tmp_path)
    dying.plan([task("a")], "key", "w")
    claim = dying.claim()
    assert claim is not None
    dying.written(claim, Result("c", "0" * 64, 5, FACTS))
    (tmp_path / "a").write_bytes(b"other")
    assert dying.owner is not None and dying.owner._held is not None
    dying.owner._held.close()
    with started(tmp_path) as journal:
        journal.plan([task("a")], "key", "w")
        again = journal.claim()
        assert again is not None and again.replace is False and again.attempt == 2


def test_a_touched_or_copied_photo_is_known_by_its_content(tmp_path: Path) -> None:
    photos, out = tmp_path / "in", tmp_path / "out"
    photos.mkdir()
    (photos / "a").write_bytes(b"pixels")
    (wanted,) = tasks_in(photos)
    with started(out) as journal:
        journal.plan([wanted], "key", "w")
        claim = journal.claim()
        assert claim is not None
        (out / "a").write_bytes(b"sharp")
        journal.written(claim, Result(content_hash(photos / "a"), content_hash(out / "a"), 5, FACTS))
        journal.done(claim)
        (photos / "a").rename(photos / "b")
        (photos / "a").write_bytes(b"pixels")
        (touched,) = (photo for photo in tasks_in(photos) if photo.name == "a")
        assert touched.stamp != wanted.stamp
        assert journal.plan([touched], "key", "w").done == 1
        (photos / "a").write_bytes(b"others")
        assert journal.plan([task for task in tasks_in(photos) if task.name == "a"], "key", "w").queued == 1
        assert journal.plan([touched], "other settings", "w").queued == 1
        assert journal.plan([touched], "key", "other weights").queued == 1


def test_a_lost_result_is_made_again(tmp_path: Path) -> None:
    with started(tmp_path) as journal:
        journal.plan([task("a")], "key", "w")
        claim = journal.claim()
        assert claim is not None
        finish(journal, claim, tmp_path)
        assert journal.plan([task("a")], "key", "w").done == 1
        (tmp_path / "a").unlink()
        assert journal.plan([task("a")], "key", "w").queued == 1


def test_a_dry_plan_changes_nothing(tmp_path: Path) -> None:
    with started(tmp_path) as journal:
        assert journal.plan([task("a"), task("b")], "key", "w", dry=True).queued == 2
        assert journal.summary().photos == {}


def test_a_second_process_shares_and_other_settings_are_refused(tmp_path: Path) -> None:
    with started(tmp_path) as first, started(tmp_path) as second:
        for journal in (first, second):
            journal.plan([task("a"), task("b", 2)], "key", "w")
        one, two = first.claim(), second.claim()
        assert one is not None and two is not None and (one.name, two.name) == ("b", "a")
        assert second.waiting_elsewhere() == 1
        assert second.summary().processes == 2
        with pytest.raises(OptionError, match="other settings"):
            started(tmp_path, "another key")


def test_what_a_dead_process_held_is_taken_over_while_another_waits(tmp_path: Path) -> None:
    with started(tmp_path) as first, started(tmp_path) as second:
        for journal in (first, second):
            journal.plan([task("a")], "key", "w")
        first.claim()
        assert second.claim() is None and second.waiting_elsewhere() == 1
        assert isinstance(first.owner, ScratchFolder) and first.owner._held is not None
        first.owner._held.close()
        assert second.waiting_elsewhere() == 0
        assert second.claim() is not None


def test_places_that_cannot_hold_a_journal_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        Journal(str(tmp_path / "file"))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match="not a journal"):
        Journal(str(tmp_path / "odd"))
    with pytest.raises(OutputError, match="no journal in"):
        Journal(str(tmp_path), create=False)
    with sqlite3.connect(tmp_path / NAME) as later:
        later.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="another version"):
        Journal(str(tmp_path))


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with started(tmp_path) as journal:
        journal.plan([task("a")], "key", "w")
        journal._database.rows("PRAGMA max_page_count = 1")  # what a full disk says, SQLite says of a full file
        with pytest.raises(JournalError, match="full"):
            journal.plan([task(f"photo {index}" * 50) for index in range(200)], "key", "w")
        journal._database.rows("PRAGMA max_page_count = 1000000")
        assert set(journal.summary().photos) == {"queued"}  # nothing half-entered, and it can still be read


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["claim", "done", "failed", "release", "die", "plan"]), max_size=25))
def test_no_photo_is_lost_or_held_by_nobody_after_any_steps(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    out = tmp_path_factory.mktemp("out")
    wanted = [task(name) for name in "abcd"]
    journal, held = started(out), []
    journal.plan(wanted, "key", "w")
    done: set[str] = set()
    for step in steps:
        if step == "claim" and (claim := journal.claim()):
            assert claim.name not in done
            held.append(claim)
        elif step == "done" and held:
            claim = held.pop()
            finish(journal, claim, out)
            done.add(claim.name)
        elif step == "failed" and held:
            journal.failed(held.pop(), "broken")
        elif step == "release" and held:
            journal.release(held.pop())
        elif step == "die":
            assert journal.owner is not None and journal.owner._held is not None
            journal.owner._held.close()
            journal, held = started(out), []
            journal.plan(wanted, "key", "w")
        elif step == "plan":
            journal.plan(wanted, "key", "w", retry_failed=True)
        states = journal.summary().photos
        assert sum(states.values()) == 4
        assert states.get("running", 0) == len(held) and states.get("done", 0) == len(done)
    journal.close()


def test_the_threads_of_the_first_run_are_those_of_all_with_its_settings(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        assert journal.threads("settings") is None
        journal.start("settings", {}, "test")
        journal.note_threads(1)
    with Journal(str(tmp_path)) as journal:
        journal.start("settings", {}, "test")
        journal.note_threads(4)
        assert journal.threads("settings") == 1 and journal.threads("others") is None
