"""The run on one machine: everything once, whatever happens to single photos or to the process."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allfocus.batch.entries import Claim
from allfocus.batch.journal import NAME, SCRATCH, Journal
from allfocus.batch.local import Event, LocalRun
from allfocus.batch.work import Order
from allfocus.errors import StoreError
from allfocus.restore import Settings
from batches import WEIGHTS, contents, stand_in, tasks_in, write_photo
from engines import LocalEngine

Batch = Callable[..., list[Event]]


def test_every_photo_is_restored_in_the_folders_shape_and_no_scratch_is_left(
    folder: Path, tmp_path: Path, batch: Batch
) -> None:
    out = tmp_path / "out"
    events = batch(folder, out)
    assert sorted(event.claim.name for event in events) == ["a.png", "b.jpg", "below/e.png", "c.tif", "d.webp"]
    assert all(event.error is None for event in events)
    assert sorted(contents(out)) == ["a.png", "b.jpg", "below/e.png", "c.tif", "d.webp"]
    names = [".allfocus-results", "a.png", NAME, "b.jpg", "below", "c.tif", "d.webp"]
    assert sorted(path.name for path in out.iterdir()) == names


def test_a_result_has_the_bytes_that_one_photo_alone_has(folder: Path, tmp_path: Path, batch: Batch) -> None:
    batch(folder, tmp_path / "out")
    stand_in().run(folder / "b.jpg", tmp_path / "alone.jpg", Settings())
    assert (tmp_path / "alone.jpg").read_bytes() == (tmp_path / "out" / "b.jpg").read_bytes()


def test_large_photos_come_first(folder: Path, tmp_path: Path, batch: Batch) -> None:
    events = batch(folder, tmp_path / "out", in_flight=1)
    sizes = [event.claim.megapixels for event in events]
    assert sizes == sorted(sizes, reverse=True)


def test_small_photos_are_there_for_the_engine_while_the_largest_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: Batch
) -> None:
    claimed, three, claim = [], threading.Event(), Journal.claim

    def noting(journal: Journal, *, smallest: bool = False) -> Claim | None:
        found = claim(journal, smallest=smallest)
        claimed.append(found and found.name)
        if len(claimed) == 3:
            three.set()
        return found

    class Waiting(LocalEngine):
        def run(self, batch, pair=None):
            assert three.wait(20)
            return super().run(batch, pair)

    monkeypatch.setattr(Journal, "claim", noting)
    batch(folder, tmp_path / "out", in_flight=3, engine=Waiting())
    assert set(claimed[:3]) == {"below/e.png", "a.png", "b.jpg"}


def test_a_second_run_does_nothing_and_leaves_the_files_alone(folder: Path, tmp_path: Path, batch: Batch) -> None:
    out = tmp_path / "out"
    batch(folder, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if NAME not in path.name and path.is_file()}
    assert batch(folder, out) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_renamed_photo_is_copied_not_restored_again(folder: Path, tmp_path: Path, batch: Batch) -> None:
    out = tmp_path / "out"
    batch(folder, out)
    (folder / "a.png").rename(folder / "z.png")
    engine = LocalEngine()
    (event,) = batch(folder, out, engine=engine)
    assert event.copied and engine.areas == []
    assert (out / "z.png").read_bytes() == (out / "a.png").read_bytes()


def test_other_settings_and_another_content_are_done_again(folder: Path, tmp_path: Path, batch: Batch) -> None:
    out = tmp_path / "out"
    batch(folder, out)
    first = contents(out)
    write_photo(folder / "a.png", 40, seed=77)
    assert [event.claim.name for event in batch(folder, out)] == ["a.png"]
    assert contents(out)["a.png"] != first["a.png"]
    assert len(batch(folder, out, order=Order(settings=Settings(strength=0.5)))) == 5
    assert contents(out)["c.tif"] != first["c.tif"]


def test_what_lies_there_and_is_not_ours_is_left_alone(folder: Path, tmp_path: Path, batch: Batch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"somebody's")
    assert len(batch(folder, out)) == 4
    assert (out / "a.png").read_bytes() == b"somebody's"
    (out / "b.jpg").write_bytes(b"edited since")
    assert batch(folder, out, order=Order(settings=Settings(strength=0.5))) != []
    assert (out / "b.jpg").read_bytes() == b"edited since"
    assert len(batch(folder, out, overwrite=True)) == 5
    assert (out / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_corrupt_vanished_and_blocked_photos_fail_alone_with_one_line_each(
    folder: Path, tmp_path: Path, batch: Batch
) -> None:
    out = tmp_path / "out"
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "empty.png").write_bytes(b"")
    write_photo(folder / "gone.png", seed=20)
    out.mkdir()
    (out / "below").write_text("a file where a folder has to be")

    def vanish(event: Event) -> None:
        (folder / "gone.png").unlink(missing_ok=True)

    write_photo(folder / "large.png", 300, 200, seed=30)
    events = batch(folder, out, in_flight=1, tell=vanish)
    failed = {event.claim.name: str(event.error) for event in events if event.error is not None}
    assert sorted(failed) == ["below/e.png", "broken.jpg", "empty.png", "gone.png"]
    assert "no longer exists" in failed["gone.png"] and "empty" in failed["empty.png"]
    assert sorted(contents(out)) == ["a.png", "b.jpg", "below", "c.tif", "d.webp", "large.png"]
    with Journal(str(out)) as journal:
        summary = journal.summary()
    assert [Path(failure.source).name for failure in summary.failures] == [
        "e.png",
        "broken.jpg",
        "empty.png",
        "gone.png",
    ]
    assert all("\n" not in failure.error for failure in summary.failures)
    assert summary.photos == {"done": 5, "failed": 4}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.name == "nt" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can make a small file system")
    line = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(line, check=False, capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_is_a_line_for_each_photo_and_the_rest_is_done(
    tmp_path: Path, small_disk: Path, batch: Batch
) -> None:
    for index in range(8):
        write_photo(tmp_path / "in" / f"{index}.png", 420 - index, 300, seed=index)
    write_photo(tmp_path / "in" / "tiny.png", 20, 20)
    events = batch(tmp_path / "in", small_disk, in_flight=1)
    failed = {event.claim.name: str(event.error) for event in events if event.error is not None}
    assert 0 < len(failed) < 8 and "tiny.png" not in failed
    assert all("No space left" in told or "no space" in told.lower() for told in failed.values())
    with Journal(str(small_disk)) as journal:
        assert journal.summary().photos == {"done": 9 - len(failed), "failed": len(failed)}
    assert not list(small_disk.rglob("*.part*")) and not (small_disk / SCRATCH).exists()
    shutil.copytree(small_disk, tmp_path / "large")
    assert len(batch(tmp_path / "in", tmp_path / "large", retry_failed=True)) == len(failed)


def test_failures_wait_for_retry_failed(folder: Path, tmp_path: Path, batch: Batch) -> None:
    out = tmp_path / "out"
    whole = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(whole[:200])
    batch(folder, out)
    assert batch(folder, out) == []
    (event,) = batch(folder, out, retry_failed=True)
    assert event.error is not None
    (folder / "a.png").write_bytes(whole)  # other content: tried again without being asked
    (event,) = batch(folder, out)
    assert event.error is None


def test_an_unexpected_error_is_one_photos_failure(folder: Path, tmp_path: Path, batch: Batch) -> None:
    class Odd(LocalEngine):
        def run(self, batch, pair=None):
            if batch.shape[3] > 100:
                raise ZeroDivisionError("odd")
            return super().run(batch, pair)

    events = batch(folder, tmp_path / "out", engine=Odd())
    (failed,) = [event for event in events if event.error is not None]
    assert failed.claim.name == "below/e.png"
    with Journal(str(tmp_path / "out")) as journal:
        assert "ZeroDivisionError" in journal.summary().failures[0].error


def test_an_interrupted_run_goes_on_where_it_was(folder: Path, tmp_path: Path, batch: Batch) -> None:
    straight, out = tmp_path / "straight", tmp_path / "out"
    batch(folder, straight)

    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch(folder, out, tell=interrupt, in_flight=1)
    assert len(contents(out)) == 1 and not (out / SCRATCH).exists()
    assert len(batch(folder, out)) == 4
    assert contents(out) == contents(straight)


def test_a_store_that_is_away_ends_the_run_and_fails_no_photo(folder: Path, tmp_path: Path) -> None:
    order, out = Order(), tmp_path / "out"
    with Journal(str(out)) as journal:
        journal.start(order.key(), {}, "test")
        planned = journal.plan(tasks_in(folder), order.key(), WEIGHTS)

        def away(source: str, folder: Path) -> Path:
            raise StoreError(f"{source} does not answer", "an answer", "again")

        journal.store.fetch = away
        with pytest.raises(StoreError):
            LocalRun(journal, [stand_in()], order, WEIGHTS).run(planned.megapixels, lambda event: None, planned.queued)
        assert journal.summary().photos == {"queued": 5}


def test_two_runs_on_one_folder_share_the_work(folder: Path, tmp_path: Path, batch: Batch) -> None:
    for index in range(12):
        write_photo(folder / f"more{index}.png", seed=100 + index)
    straight, out = tmp_path / "straight", tmp_path / "out"
    batch(folder, straight)
    done: list[list[Event]] = [[], []]
    both = threading.Barrier(2)

    def one(index: int) -> None:
        both.wait()
        done[index] = batch(folder, out, in_flight=1)

    threads = [threading.Thread(target=one, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [event.claim.name for events in done for event in events]
    assert len(names) == len(set(names)) == 17
    assert contents(out) == contents(straight)


def test_maps_and_comparisons_travel_with_the_result(folder: Path, tmp_path: Path, batch: Batch) -> None:
    out = tmp_path / "out"
    shutil.rmtree(folder / "below")
    batch(folder, out, order=Order(compare=True))
    assert {"a.compare.jpg", "a.png"} <= set(contents(out))


def test_who_is_told_may_ask_for_the_end(folder: Path, tmp_path: Path) -> None:
    order, told = Order(), []
    with Journal(str(tmp_path / "out")) as journal:
        journal.start(order.key(), {}, "test")
        planned = journal.plan(tasks_in(folder), order.key(), WEIGHTS)
        work = LocalRun(journal, [stand_in()], order, WEIGHTS)
        work.run(planned.megapixels, lambda event: told.append(work.remaining_s()), planned.queued)
    assert len(told) == 5 and told[-1] == pytest.approx(0.0, abs=1e-6)


def test_megapixels_in_flight_are_bounded(folder: Path, tmp_path: Path) -> None:
    order, most, running = Order(), [0.0], [0.0]

    class Watching(LocalEngine):
        def run(self, batch, pair=None):
            running[0] += 1
            most[0] = max(most[0], running[0])
            found = super().run(batch, pair)
            running[0] -= 1
            return found

    with Journal(str(tmp_path / "out")) as journal:
        journal.start(order.key(), {}, "test")
        planned = journal.plan(tasks_in(folder), order.key(), WEIGHTS)
        work = LocalRun(journal, [stand_in(Watching())], order, WEIGHTS, in_flight=4, megapixels_in_flight=0.0001)
        work.run(planned.megapixels, lambda event: None, planned.queued)
    assert most == [1]


def test_a_photo_that_goes_alone_has_its_tiles_on_every_engine(tmp_path: Path, batch: Batch) -> None:
    write_photo(tmp_path / "in" / "wide.png", 900, 300, seed=3)
    meeting = threading.Barrier(2, timeout=20)

    class Meeting(LocalEngine):
        """Its first tile waits until another engine has one, too."""

        def run(self, batch, pair=None):
            if not self.areas:
                meeting.wait()
            return super().run(batch, pair)

    order = Order(settings=Settings(scale=1))
    with Journal(str(tmp_path / "out")) as journal:
        journal.start(order.key(), {}, "test")
        planned = journal.plan(tasks_in(tmp_path / "in"), order.key(), WEIGHTS)
        engines = [stand_in(Meeting()), stand_in(Meeting())]
        work = LocalRun(journal, engines, order, WEIGHTS, megapixels_in_flight=0.0001)
        work.run(planned.work, lambda event: None, planned.queued)
    batch(tmp_path / "in", tmp_path / "straight", order=order)
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")
