"""How far a batch is and when it will be done, on a machine with a simulated clock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.batch.forecast import (
    AFTER,
    BEFORE,
    BESIDE_NETWORK,
    EACH_MEGAPIXELS,
    WHERE_BLURRED,
    WITH_TILES,
    BatchForecast,
    Used,
    work_of,
)  # fmt: skip
from allfocus.batch.local import BESIDE_ENGINES
from allfocus.engine.pool import EngineUse
from allfocus.restore import Progress

TILE_MEGAPIXELS, STEP_S = 1.4, 1.0


@dataclass(frozen=True)
class Photo:
    """The scales that a photo is restored at, and the share of the pixels that the network sees there."""

    megapixels: float
    scales: tuple[int, ...] = (1,)
    share: float = 1.0
    name: str = "a.jpg"


@dataclass
class Job:
    """Seconds of one core that are left, what happens at the end, and seconds of one core at the beginning."""

    seconds: float
    then: Callable[[], None]
    cpu_s: float = 0.0


class Machine:
    """Engines of one thread on as many cores, which are shared evenly by all that runs.

    Args:
        photos: in the order in which they are taken up.
        engines: and cores.
        seconds: that an engine needs for a megapixel.
        beside: the work beside the network, as a multiple of what the forecast takes it for.
        first_call: an engine's first call takes so many times as long as a later one.
    """

    def __init__(
        self, photos: list[Photo], engines: int = 2, seconds: float = 0.4, beside: float = 1.0, first_call: float = 1.2
    ) -> None:
        self.seconds, self.beside, self.first_call = seconds, beside, first_call
        self.forecast = BatchForecast(sum(work_of(one.megapixels, one.name) for one in photos), len(photos))
        self.now = self.cpu_s = 0.0
        self.uses = [EngineUse()] * engines
        self._tiles: deque[tuple[float, Callable[[], None]]] = deque()
        self._busy: dict[int, Job] = {}
        self._others: list[Job] = []
        self._left = deque(enumerate(photos))

    @property
    def used(self) -> Used:
        """Up to now."""
        return Used(self.now, self.cpu_s, self.uses)

    def run(self) -> list[tuple[float, float, float | None]]:
        """Restore all photos: (seconds so far, share of the work, seconds to go) again and again until the end."""
        told = []
        for _ in range(len(self.uses) + BESIDE_ENGINES):
            self._take_up()
        while self._busy or self._others:
            running = [*self._busy.values(), *self._others]
            speed = min(1.0, len(self.uses) / len(running))
            step = min(min(job.seconds for job in running) / speed, STEP_S)
            self.now, self.cpu_s = self.now + step, self.cpu_s + step * speed * len(running)
            for job in running:
                job.seconds -= step * speed
            self._finish()
            remaining = self.forecast.remaining_s(self.used)
            told.append((self.now, self.forecast.share(self.used), remaining))
        return told

    def _finish(self) -> None:
        ended = [(index, job) for index, job in self._busy.items() if job.seconds < 1e-9]
        others = [job for job in self._others if job.seconds < 1e-9]
        self._others = [job for job in self._others if job.seconds >= 1e-9]
        for index, job in ended:
            del self._busy[index]
            use = replace(self.uses[index], cpu_s=self.uses[index].cpu_s + job.cpu_s)
            seconds = self.now - use.since
            if use.first_px:
                use = replace(use, later_px=use.later_px + use.running_px, later_s=use.later_s + seconds)
            else:
                use = replace(use, first_px=use.running_px, first_s=seconds)
            self.uses[index] = replace(use, running_px=0)
            job.then()
        for job in others:
            job.then()
        self._fill()

    def _fill(self) -> None:
        for index, use in enumerate(self.uses):
            if index not in self._busy and self._tiles:
                megapixels, then = self._tiles.popleft()
                self.uses[index] = replace(use, running_px=round(megapixels * 1e6), since=self.now)
                slower = 1.0 if use.first_px else self.first_call
                seconds = megapixels * self.seconds * slower
                self._busy[index] = Job(seconds, then, seconds)

    def _take_up(self) -> None:
        if self._left:
            number, photo = self._left.popleft()
            self.forecast.begin(number, photo.megapixels, photo.name, self.now)
            self._go_on(self._restored(number, photo))

    def _go_on(self, steps: Generator[list[tuple[bool, float, Callable[[], None]]], None, None]) -> None:
        jobs = next(steps, None)
        if jobs is None:
            self._take_up()
            return
        open_jobs = [len(jobs)]

        def ending(then: Callable[[], None]) -> Callable[[], None]:
            def end() -> None:
                then()
                open_jobs[0] -= 1
                if not open_jobs[0]:
                    self._go_on(steps)

            return end

        for on_engine, megapixels, then in jobs:
            if on_engine:
                self._tiles.append((megapixels, ending(then)))
            else:
                self._others.append(Job(megapixels * self.seconds, ending(then)))
        self._fill()

    def _restored(
        self, number: int, photo: Photo
    ) -> Generator[list[tuple[bool, float, Callable[[], None]]], None, None]:
        """What a photo takes: lists of jobs that may run side by side (on an engine?, megapixels, what follows)."""
        beside = self.beside * (work_of(photo.megapixels, photo.name) + EACH_MEGAPIXELS) * BESIDE_NETWORK
        yield [(False, beside * BEFORE, lambda: None)]
        every = sum(1 / scale**2 for scale in photo.scales)
        for scale in photo.scales:
            yield [(False, beside * WHERE_BLURRED / scale**2 / every, lambda: None)]
            seen = photo.share * work_of(photo.megapixels, photo.name) / scale**2
            count, done = max(round(seen / TILE_MEGAPIXELS), 1), [0]
            told = Progress(scale, 0, count, planned_px=round(seen * 1e6), scales=photo.scales)
            self.forecast.step(number, told, self.now)

            def tile(told: Progress = told, done: list[int] = done) -> None:
                done[0] += 1
                self.forecast.step(number, replace(told, done=done[0]), self.now)

            yield [(True, seen / count, tile)] * count
            yield [(False, beside * WITH_TILES / scale**2 / every, lambda: None)]
        yield [(False, beside * AFTER, lambda: None)]
        self.forecast.end(number, photo.megapixels)


def after_a_tenth(machine: Machine) -> list[float]:
    """Expected end over real one, at each look from a tenth of the work on."""
    told = machine.run()
    end = told[-1][0]
    found = [(now + left) / end for now, share, left in told if left is not None and share >= 0.1]
    assert found and machine.forecast.share(machine.used) == pytest.approx(1.0, abs=1e-6)
    return found


def in_flight(progress: BatchForecast, seconds: float = 0.0) -> BatchForecast:
    """With photo 1 of 10 megapixels in flight, of which the network has seen half at full size."""
    progress.begin(1, 10.0, "a.jpg", seconds)
    told = Progress(1, 0, 4, planned_px=8_000_000, scales=(1,))
    for done in range(3):
        progress.step(1, replace(told, done=done), seconds)
    return progress


@settings(max_examples=40, derandomize=True)
@given(
    st.lists(st.floats(0.5, 50), min_size=1, max_size=5),
    st.integers(1, 4),
    st.sampled_from([(1,), (2, 1), (4, 2, 1)]),
    st.floats(0.25, 1.4),
    st.floats(0.6, 1.5),
    st.floats(1.0, 1.5),
)
def test_the_end_is_known_within_a_fifth_after_a_tenth_of_the_work(
    sizes: list[float], engines: int, scales: tuple[int, ...], share: float, beside: float, first_call: float
) -> None:
    in_flight = max(sizes) * (engines + BESIDE_ENGINES)
    sizes = math.ceil(10 * in_flight / sum(sizes)) * sizes  # a tenth of the batch is no less than the photos in flight
    photos = [Photo(size, scales, share) for size in sorted(sizes, reverse=True)]
    found = after_a_tenth(Machine(photos, engines, beside=beside, first_call=first_call))
    assert min(found) >= 0.8 and max(found) <= 1.2


def test_a_photo_in_focus_among_blurred_ones_does_not_mislead() -> None:
    photos = [Photo(12.0, (2, 1), share) for share in (0.1, 1.0, 1.0, 0.1, 1.0, 0.1) * 4]
    found = after_a_tenth(Machine(photos))
    assert min(found) >= 0.8 and max(found) <= 1.2


def test_on_a_cluster_whole_photos_count_in_proportion() -> None:
    sizes, progress = [12.0] * 20, BatchForecast(240.0, 20)
    for number, size in enumerate(sizes[:5]):
        progress.begin(number, size, "a.jpg", float(number))
        progress.end(number, size)
    assert progress.share(Used(10.0)) == pytest.approx(0.25)
    assert progress.remaining_s(Used(10.0)) == pytest.approx(30.0)
    assert progress.rate(10.0) == pytest.approx(6.0)


def test_nothing_is_told_before_an_engine_has_ended_a_call() -> None:
    assert in_flight(BatchForecast(10.0, 1)).remaining_s(Used(5.0, 5.0, [EngineUse(running_px=10, since=4.0)])) is None


def test_photos_that_fail_or_are_copied_leave_the_rest_of_their_work() -> None:
    progress = in_flight(BatchForecast(30.0, 3))
    before = progress.share(Used(1.0))
    progress.end(1, None)
    progress.skip(10.0, "gone.jpg")
    assert progress.share(Used(1.0)) > before
    progress.skip(10.0, "gone.jpg")
    assert progress.share(Used(1.0)) == 1.0 and progress.photos == 0


def test_a_running_call_counts_in_part() -> None:
    progress = in_flight(BatchForecast(10.0, 1))
    use = EngineUse(first_px=2_000_000, first_s=2.0, later_px=2_000_000, later_s=2.0)
    shares = [
        progress.share(Used(4.0 + seconds, 0.0, [replace(use, running_px=2_000_000, since=4.0)]))
        for seconds in (0.0, 1.0, 2.0, 5.0)
    ]
    assert shares[0] < shares[1] < shares[2] == pytest.approx(shares[3])


def test_formats_that_take_long_to_write_are_known_to() -> None:
    assert work_of(10.0, "b.avif") == pytest.approx(13.0)
    progress = BatchForecast(work_of(10.0, "a.jpg") + work_of(10.0, "b.avif"), 2)
    progress.begin(1, 10.0, "a.jpg", 0.0)
    progress.end(1, 10.0)
    assert progress.share(Used(1.0)) < 0.45
