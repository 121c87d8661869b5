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
from allfocus.batch.forecast import BatchForecast, Used
from allfocus.batch.journal import Journal
from allfocus.batch.store import Store, is_url
from allfocus.batch.work import Order, Staged, copy_twin, failure_of, fetch, publish, restore_into
from allfocus.deblurrer import Deblurrer
from allfocus.engine.pool import EnginePool
from allfocus.errors import AllfocusError, JournalError, StoreError
from allfocus.restore import Progress

BESIDE_ENGINES = 2
"""Photos in flight in addition to one per engine: one is read, one is written."""

MEGAPIXELS_IN_FLIGHT = 64.0
"""The bound of all photos in flight; a larger one is restored alone."""

POLL_S = 0.5
JOURNAL_TRIES = 5


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


class _Stopped(Exception):
    """Raised inside a photo's work when the run is to end."""


class LocalRun:
    """Processes the photos of `journal.plan` until none is left.

    Args:
        journal: started and planned.
        deblurrers: of one model, each with an engine; every tile of every photo goes to an engine that is free.
        order: what to make of each photo.
        weights: hash of the weights, as in the plan.
        in_flight: photos processed at the same time; see `photos_in_flight`.
        megapixels_in_flight: the bound of their sizes together.
    """

    def __init__(
        self,
        journal: Journal,
        deblurrers: Sequence[Deblurrer],
        order: Order,
        weights: str,
        *,
        in_flight: int | None = None,
        megapixels_in_flight: float = MEGAPIXELS_IN_FLIGHT,
    ) -> None:
        assert journal.owner is not None  # start() comes first
        self.journal = journal
        self.store: Store = journal.store
        self.order = order
        self.settings = order.key()
        self.weights = weights
        self.scratch = journal.owner.path
        self.forecast: BatchForecast | None = None
        self.started, self._cpu_s = time.monotonic(), time.process_time()
        self._engines = EnginePool([deblurrer.engine for deblurrer in deblurrers])
        self._deblurrer = deblurrers[0].on(self._engines)
        self._in_flight = in_flight or photos_in_flight(len(deblurrers))
        self._budget = _Budget(megapixels_in_flight)
        self._stop = threading.Event()
        self._fatal: BaseException | None = None
        self._lock = threading.Lock()
        self._telling = threading.Lock()

    def run(self, work: float, tell: Callable[[Event], None], photos: int = 0) -> None:
        """Work until every wanted photo is done or has failed, here or in another process.

        Args:
            work: of the photos to do (`Planned.work`), for the forecast.
            tell: called once a photo, one call at a time.
            photos: to do, for the forecast.

        Raises:
            StoreError: a store does not answer; photos in flight are queued again in the journal.
            JournalError: the journal cannot be written.
            KeyboardInterrupt: photos in flight are queued again in the journal.
        """
        self.started, self._cpu_s = time.monotonic(), time.process_time()
        self.forecast = BatchForecast(work, photos, self.started, passes=2 if self.order.settings.flips else 1)
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
        """Estimated seconds until the end; None while nothing is known of the rate."""
        if self.forecast is None:
            return None
        with self._lock:
            return self.forecast.remaining_s(self.used())

    def share(self) -> float:
        """How much of the work is done, 0 to 1, photos in flight included."""
        if self.forecast is None:
            return 0.0
        with self._lock:
            return self.forecast.share(self.used())

    def used(self) -> Used:
        """What the run has used so far."""
        return Used(time.monotonic(), time.process_time() - self._cpu_s, self._engines.uses())

    def _work(self, tell: Callable[[Event], None]) -> None:
        threads = [
            threading.Thread(
                target=self._photos, args=(index >= self._engines.at_once, tell), name=f"photo-{index}", daemon=True
            )
            for index in range(self._in_flight)
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

    def _photos(self, smallest: bool, tell: Callable[[Event], None]) -> None:
        """One photo after another, the largest first; where `smallest`, the first photo is the smallest.

        Small photos reach the engines while the largest are still being read.
        """
        try:
            while not self._stop.is_set():
                claim = self.journal.claim(smallest=smallest)
                if claim is None:
                    return
                smallest = False
                self._one(claim, tell)
        except BaseException as error:
            self._fatal = self._fatal or error
            self._stop.set()

    def _one(self, claim: Claim, tell: Callable[[Event], None]) -> None:
        assert self.forecast is not None
        folder, content = self.scratch / str(claim.number), None
        restored, begun = None, False
        try:
            file, content = fetch(claim.source, folder, self.store)
            with self._budget.held(claim.megapixels, self._stop):
                with self._lock:
                    self.forecast.begin(claim.number, claim.megapixels, claim.name, time.monotonic())
                    begun = True
                staged, copied = self._staged(claim, folder, file, content)
            self.journal.written(claim, staged.result)
            publish(staged, self.journal.folder, claim, self.store)
            self.journal.done(claim)
            event = Event(claim, staged.result, copied=copied)
            restored = None if copied else staged.result.megapixels
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
                if begun:
                    self.forecast.end(claim.number, restored)
                else:
                    self.forecast.skip(claim.megapixels, claim.name)
        with self._telling:  # not under the other lock: `tell` may ask for `remaining_s`
            tell(event)

    def _staged(self, claim: Claim, folder: Path, file: Path, content: str) -> tuple[Staged, bool]:
        alone = not (self.order.map or self.order.compare or is_url(self.journal.folder))
        twin = self.journal.twin(content, self.settings, self.weights, claim.name) if alone else None
        if twin is not None:
            return copy_twin(Path(twin[0]), file, folder, claim.name, twin[1]), True

        def progress(step: Progress) -> None:
            if self._stop.is_set():
                raise _Stopped
            assert self.forecast is not None
            with self._lock:
                self.forecast.step(claim.number, step, time.monotonic())

        return restore_into(folder, file, content, claim, self._deblurrer, self.order, progress), False

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


def photos_in_flight(engines: int) -> int:
    """Photos processed at the same time with so many engines."""
    return engines + BESIDE_ENGINES


class _Budget:
    """Bounds the megapixels in flight; a photo above the whole budget is restored alone."""

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
