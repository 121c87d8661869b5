"""A batch on one machine: several photos at a time, so that reading, the network and writing overlap."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from allfocus.batch.entries import Claim, Result
from allfocus.batch.forecast import BatchProgress, work_of
from allfocus.batch.journal import Journal
from allfocus.batch.store import Store, is_url
from allfocus.batch.work import Order, Staged, copy_twin, failure_of, fetch, publish, restore_into
from allfocus.deblurrer import Deblurrer
from allfocus.errors import AllfocusError, JournalError, StoreError
from allfocus.restore import Progress

AT_ONCE = 3
"""Photos in the air for a single engine: one is read, one computed, one written."""

AT_ONCE_EACH = 2
"""Photos in the air for each of several engines: while one waits for the disk, the other is computed."""

MEGAPIXELS_AT_ONCE = 64.0
"""A larger photo is in the air alone."""

POLL_S = 0.5
JOURNAL_TRIES = 5

BEFORE, AFTER = 0.1, 0.05
"""Shares of a photo's work before its first tile and after its last."""

FIRST_MEGAPIXELS = 3.0
"""What has been done of a large photo when its first tile is told."""

EXTRAPOLATIONS = 3


@dataclass(frozen=True)
class Event:
    """Something that happened to a photo.

    Attributes:
        claim: the photo.
        result: what came of it; None if it failed.
        error: why it failed.
        copied: whether the result of a photo with the same content was copied.
    """

    claim: Claim
    result: Result | None = None
    error: AllfocusError | None = None
    copied: bool = False


@dataclass(frozen=True)
class _Part:
    """What is known of a photo in the air: megapixels `done` at the moment `when`; `next` will be told at once."""

    done: float
    when: float
    next: float


class _Stopped(Exception):
    """Raised inside a photo's work when the run is to end."""


class LocalRun:
    """Processes the photos of `journal.plan` until none is left.

    Args:
        journal: started and planned.
        deblurrers: one a stream; calls to one engine wait for each other.
        order: what to make of each photo.
        weights: hash of the weights, as in the plan.
        at_once: photos in the air a stream; when None, `AT_ONCE` for one, `AT_ONCE_EACH` for several.
        megapixels_at_once: bound of all photos in the air together.
    """

    def __init__(
        self,
        journal: Journal,
        deblurrers: Sequence[Deblurrer],
        order: Order,
        weights: str,
        *,
        at_once: int | None = None,
        megapixels_at_once: float = MEGAPIXELS_AT_ONCE,
    ) -> None:
        assert journal.owner is not None  # start() comes first
        self.journal = journal
        self.store: Store = journal.store
        self.order = order
        self.settings = order.key()
        self.weights = weights
        self.scratch = journal.owner.path
        self.forecast: BatchProgress | None = None
        self.started = time.monotonic()
        each = at_once or photos_at_once(len(deblurrers))
        self._streams = list(deblurrers) * each  # in turn: the largest photos come first, one to each engine
        self._budget = _Budget(megapixels_at_once)
        self._stop = threading.Event()
        self._fatal: BaseException | None = None
        self._air: dict[int, _Part] = {}
        self._lock = threading.Lock()
        self._telling = threading.Lock()

    def run(self, work: float, tell: Callable[[Event], None], photos: int = 0) -> None:
        """Work until every wanted photo is done or has failed, here or in another process.

        Args:
            work: of the photos to do (`Planned.work`), for the forecast.
            tell: called once a photo, one call at a time.
            photos: to do, for the forecast.

        Raises:
            StoreError: a store does not answer; what was in the air waits in the journal.
            JournalError: the journal cannot be written.
            KeyboardInterrupt: what was in the air waits in the journal.
        """
        self.forecast = BatchProgress(work, photos)
        self.started = time.monotonic()
        try:
            while True:
                self._work(tell)
                if self._fatal is not None:
                    raise self._fatal
                if self.journal.waiting_elsewhere():
                    time.sleep(POLL_S)
                elif not self.journal.wanted_states().get("queued"):
                    return
        except BaseException:
            self._stop.set()
            raise

    def remaining_s(self) -> float | None:
        """Estimated seconds until the end."""
        if self.forecast is None:
            return None
        with self._lock:
            now = time.monotonic()
            return self.forecast.remaining_s(now - self.started, self._in_the_air(now))

    def share(self) -> float:
        """How much of the work is done, 0 to 1, photos in the air included."""
        if self.forecast is None:
            return 0.0
        with self._lock:
            return self.forecast.share(self._in_the_air(time.monotonic()))

    def _in_the_air(self, now: float) -> float:
        """Megapixels done of photos in the air: what was told, and since then as much as the rate so far gives.

        A tile is told when it is whole, so that at any moment much more has been done than was told.
        """
        assert self.forecast is not None
        told = sum(part.done for part in self._air.values())
        total = told
        for _ in range(EXTRAPOLATIONS):
            each = self.forecast.done(total) / max(now - self.started, 1e-9) / max(len(self._air), 1)
            total = told + sum(min(part.next, each * (now - part.when)) for part in self._air.values())
        return total

    def _work(self, tell: Callable[[Event], None]) -> None:
        threads = [
            threading.Thread(target=self._stream, args=(deblurrer, tell), name=f"photo-{index}", daemon=True)
            for index, deblurrer in enumerate(self._streams)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(POLL_S)
        except BaseException:
            self._stop.set()
            for thread in threads:
                thread.join()
            raise

    def _stream(self, deblurrer: Deblurrer, tell: Callable[[Event], None]) -> None:
        try:
            while not self._stop.is_set():
                claim = self.journal.claim()
                if claim is None:
                    return
                self._one(claim, deblurrer, tell)
        except BaseException as error:
            self._fatal = self._fatal or error
            self._stop.set()

    def _one(self, claim: Claim, deblurrer: Deblurrer, tell: Callable[[Event], None]) -> None:
        folder, content = self.scratch / str(claim.number), None
        try:
            file, content = fetch(claim.source, folder, self.store)
            with self._budget.held(claim.megapixels, self._stop):
                staged, copied = self._staged(claim, folder, file, content, deblurrer)
            self.journal.written(claim, staged.result)
            publish(staged, self.journal.folder, claim, self.store)
            self.journal.done(claim)
            event = Event(claim, staged.result, copied=copied)
        except _Stopped:
            self._give_back(claim)
            return
        except (StoreError, JournalError):
            self._give_back(claim)
            raise
        except Exception as error:
            _remove(folder)  # first: on a full disk it makes the room that the journal needs
            failure = failure_of(claim.source, error)
            self._note_failure(claim, failure, content)
            event = Event(claim, error=failure)
        finally:
            _remove(folder)
            with self._lock:
                self._air.pop(claim.number, None)
        with self._telling:  # not under the other lock: `tell` may ask for `remaining_s`
            with self._lock:
                self._count(event)
            tell(event)

    def _staged(
        self, claim: Claim, folder: Path, file: Path, content: str, deblurrer: Deblurrer
    ) -> tuple[Staged, bool]:
        alone = not (self.order.map or self.order.compare or is_url(self.journal.folder))
        twin = self.journal.twin(content, self.settings, self.weights, claim.name) if alone else None
        if twin is not None:
            return copy_twin(Path(twin[0]), file, folder, claim.name, twin[1]), True

        def progress(step: Progress) -> None:
            if self._stop.is_set():
                raise _Stopped
            part = share_done(step, scales) * claim.megapixels
            with self._lock:
                self._air[claim.number] = _Part(part, time.monotonic(), claim.megapixels / step.total / step.scale**2)

        with self._lock:
            self._air[claim.number] = _Part(0.0, time.monotonic(), min(claim.megapixels, FIRST_MEGAPIXELS))
        scales: list[int] = []
        return restore_into(folder, file, content, claim, deblurrer, self.order, progress), False

    def _count(self, event: Event) -> None:
        assert self.forecast is not None
        if event.result is None or event.copied:
            self.forecast.skip(work_of(event.claim.megapixels, event.claim.name))
        else:
            expected = work_of(event.claim.megapixels, event.claim.name)
            self.forecast.add(expected, event.result.megapixels)

    def _give_back(self, claim: Claim) -> None:
        try:
            self.journal.release(claim)
        except JournalError:
            return  # the next start frees what this process held

    def _note_failure(self, claim: Claim, failure: AllfocusError, content: str | None) -> None:
        for attempt in range(1, JOURNAL_TRIES + 1):
            try:
                self.journal.failed(claim, str(failure), content)
                return
            except JournalError:
                if attempt == JOURNAL_TRIES:
                    raise
                time.sleep(POLL_S)


def photos_at_once(streams: int) -> int:
    """Photos in the air for each of so many engines."""
    return AT_ONCE if streams == 1 else AT_ONCE_EACH


def share_done(step: Progress, scales: list[int]) -> float:
    """How much of a photo's work is done after a step; a tile is told when the network has seen the next one, too.

    Args:
        step: tiles done at a working scale; scale s has 1/s^2 of the pixels.
        scales: the scales seen so far, coarsest first; the step's is added.

    >>> share_done(Progress(scale=1, done=1, total=4), [])
    0.525
    >>> share_done(Progress(scale=1, done=3, total=4), [2])
    0.95
    """
    if step.scale not in scales:
        scales.append(step.scale)
    coarsest = scales[0]
    every = [coarsest >> power for power in range(coarsest.bit_length())]
    before = sum(1 / scale**2 for scale in every if scale > step.scale)
    here = min(step.done + 1, step.total) / step.total / step.scale**2
    tiles = (before + here) / sum(1 / scale**2 for scale in every)
    return BEFORE + (1 - BEFORE - AFTER) * tiles


class _Budget:
    """Megapixels in the air; what is larger than the whole budget goes alone."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._used = 0.0
        self._free = threading.Condition()

    @contextmanager
    def held(self, megapixels: float, stop: threading.Event) -> Iterator[None]:
        """A photo of this size is being processed."""
        with self._free:
            while self._used > 0 and self._used + megapixels > self.limit:
                if stop.is_set():
                    raise _Stopped
                self._free.wait(POLL_S)
            self._used += megapixels
        try:
            yield
        finally:
            with self._free:
                self._used -= megapixels
                self._free.notify_all()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
