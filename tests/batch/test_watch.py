"""A folder that photos arrive in: whole files only, once, in order, and not without bound."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from allfocus.batch.journal import Journal
from allfocus.batch.watch import Arrivals, Latencies
from allfocus.cli.watching import Watching
from allfocus.deblurrer import Deblurrer
from allfocus.engine.base import EngineInfo
from allfocus.errors import InputError, OptionError
from batches import StandInOrder, contents, write_photo
from engines import LocalEngine


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(tmp_path: Path, clock: Clock) -> Arrivals:
    (tmp_path / "in").mkdir()
    return Arrivals(tmp_path / "in", tmp_path / "in" / "out", quiet_s=1.0, backlog=2, clock=clock)


def test_a_file_is_taken_when_it_has_rested_and_only_once(arrivals: Arrivals, clock: Clock, tmp_path: Path) -> None:
    photo = tmp_path / "in" / "a.jpg"
    photo.write_bytes(b"the first half")
    assert arrivals.look() == 0
    clock.now += 0.9
    photo.write_bytes(b"the first half and the second")
    assert arrivals.look() == 0
    clock.now += 0.9
    assert arrivals.look() == 0
    clock.now += 0.2
    assert arrivals.look() == 1
    (arrival,) = arrivals.take(5)
    assert arrival.path == photo.resolve() and arrival.since == 100.0
    clock.now += 50
    assert arrivals.look() == 0
    photo.write_bytes(b"another photo under the same name")
    arrivals.look()
    clock.now += 1
    assert arrivals.look() == 1


def test_empty_files_results_hidden_files_and_other_files_are_not_photos(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    place = tmp_path / "in"
    for name in ("out/a.jpg", ".half/b.jpg", ".c.jpg", "d.txt", "e.sharp.jpg"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(b"x")
    (place / "f.jpg").write_bytes(b"")
    arrivals.look()
    clock.now += 5
    assert arrivals.look() == 0


def test_the_backlog_is_bounded_and_nobody_is_forgotten(arrivals: Arrivals, clock: Clock, tmp_path: Path) -> None:
    for index in range(5):
        (tmp_path / "in" / f"{index}.png").write_bytes(b"x")
    arrivals.look()
    clock.now += 2
    names = []
    while arrivals.look() or arrivals.waiting:
        assert len(arrivals.waiting) <= 2
        names += [arrival.path.name for arrival in arrivals.take(1)]
    assert sorted(names) == [f"{index}.png" for index in range(5)]


def test_folders_that_cannot_be_watched_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        Arrivals(tmp_path / "none", tmp_path / "out")
    (tmp_path / "out" / "in").mkdir(parents=True)
    for inside in (tmp_path / "out", tmp_path / "out" / "in"):
        with pytest.raises(OptionError, match="another folder"):
            Arrivals(inside, tmp_path / "out")


def test_percentiles() -> None:
    latencies = Latencies()
    assert latencies.percentile(0.5) == 0
    for seconds in (3.0, 1.0, 2.0):
        latencies.add(seconds)
    assert (latencies.percentile(0.5), latencies.percentile(0.99), latencies.percentile(0.01)) == (2.0, 3.0, 1.0)


def test_photos_that_arrive_are_restored_and_what_is_broken_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = tmp_path / "in", tmp_path / "out"
    write_photo(place / "a.png", seed=1)
    write_photo(place / "below" / "b.jpg", seed=2)
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    watching = Watching(Arrivals(place, out, quiet_s=0.05), StandInOrder())
    with pytest.raises(SystemExit):
        watching.run(idle_exit=1.0)
    assert sorted(contents(out)) == ["a.png", "below/b.jpg"]
    said = capsys.readouterr()
    assert said.out.count("after its arrival") == 2 and "failed: " in said.err
    assert "2 done, 1 failed, 0 waiting" in said.err and "p99" in said.err
    again = Watching(Arrivals(place, out, quiet_s=0.05), StandInOrder())
    again.run(idle_exit=0.5)
    assert (again.done, again.failed) == (0, 0)


class Counting(StandInOrder):
    """Notes with how many threads each engine is wanted."""

    def deblurrer(self, threads: int | None = None) -> Deblurrer:
        """A `Deblurrer` on a local engine that says so."""
        ready = super().deblurrer(threads)
        ready.engine = Threaded(threads or 0)
        return ready


class Threaded(LocalEngine):
    """A local engine with a number of threads."""

    wanted: ClassVar[list[int]] = []

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.wanted.append(threads)

    @property
    def info(self) -> EngineInfo:
        """What runs."""
        return EngineInfo("stand-in", "CPU", "float32", "stand-in", self.wanted[0])


@pytest.mark.parametrize(
    "begun_with, asked, wanted", [(None, 1, [4]), (None, 2, [2, 2]), (1, 1, [1] * 4), (2, 4, [2] * 2)]
)
def test_a_watch_goes_on_with_the_threads_that_its_output_was_begun_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun_with: int | None, asked: int, wanted: list[int]
) -> None:
    monkeypatch.setattr("allfocus.batch.streams.Processor.here", lambda: SimpleNamespace(threads=4))
    monkeypatch.setattr("allfocus.batch.streams.free_memory_mb", lambda: 64_000.0)
    monkeypatch.setattr(Threaded, "wanted", [])
    place, out, order = tmp_path / "in", tmp_path / "out", Counting()
    write_photo(place / "a.png", seed=1)
    if begun_with is not None:
        with Journal(str(out)) as journal:
            journal.start(order.key(), {}, "test")
            journal.note_threads(begun_with)
    Watching(Arrivals(place, out, quiet_s=0.0), order, streams=asked).run(idle_exit=0.2)
    assert Threaded.wanted == wanted and sorted(contents(out)) == ["a.png"]
    with Journal(str(out)) as journal:
        assert journal.threads(order.key()) == wanted[0]
