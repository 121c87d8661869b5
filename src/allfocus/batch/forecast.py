"""How far a batch is, and when it will be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from allfocus.engine.pool import EngineUse
from allfocus.restore import Progress

EACH_MEGAPIXELS = 0.05
"""The fixed cost of a photo (opening, planning, naming), as megapixels of work."""

GROWTH = 1.3
"""Size of the results over that of the sources, assumed before any is known: JPEG is written at quality 95."""

EFFORT = {".png": 1.1, ".webp": 1.1, ".avif": 1.3}
"""Time for a megapixel of formats that are slow to write, network included, relative to JPEG and TIFF."""

BESIDE_NETWORK, BESIDE_NETWORK_WEIGHT = 0.35, 0.25
"""Prior for the cost of a photo's megapixel besides the network, in megapixels through the network, and the megapixels
of measurements that it counts as."""

BEFORE, WHERE_BLURRED, WITH_TILES, AFTER = 0.18, 0.33, 0.24, 0.25
"""How that cost divides: reading the photo; finding where it is blurred, at each scale; preparing and adding up its
tiles; composing and writing the result."""

SEEN_SHARE, SEEN_SHARE_WEIGHT = 1.0, 0.1
"""Prior for the share of a photo's pixels that the network sees, and the megapixels that it counts as."""

FIRST_CALL = 1.2
"""Time of an engine's first call over that of a later one: the first also allocates the engine's memory."""

MOST_LOST = 0.35
"""The largest share of a first call's time that is taken for start-up."""

LEAST_ON_CPU = 0.25
"""CPU time of an engine over its wall time from which on it is taken to compute on the CPU; a GPU uses less."""


def work_of(megapixels: float, name: str) -> float:
    """The work for a photo, in megapixels of a JPEG.

    >>> work_of(2.0, "a.jpg"), work_of(2.0, "a.AVIF")
    (2.0, 2.6)
    """
    return megapixels * EFFORT.get(PurePosixPath(name).suffix.lower(), 1.0)


@dataclass
class _Photo:
    """A photo in flight.

    Attributes:
        megapixels, work: as the plan counted them.
        phase: share of the work besides the network that began at `since` and is not finished; 0 while tiles run.
        scales: at which the network works, coarsest first; empty while that is not known.
        planned: scale -> megapixels that the network sees there, of the scales that have begun.
        done: scale -> the share of them that it has seen.
    """

    megapixels: float
    work: float
    since: float
    phase: float
    scales: tuple[int, ...] = ()
    planned: dict[int, float] = field(default_factory=dict)
    done: dict[int, float] = field(default_factory=dict)

    @property
    def size(self) -> float:
        """What its cost besides the network is proportional to."""
        return self.work + EACH_MEGAPIXELS

    @property
    def seen(self) -> float:
        """Megapixels that the network has seen."""
        return sum(self.planned[scale] * share for scale, share in self.done.items())

    def part(self, scale: int) -> float:
        """The pixels of a scale relative to those of all scales."""
        return 1 / scale**2 / sum(1 / one**2 for one in self.scales)

    @property
    def finished(self) -> float:
        """The finished share of the work besides the network."""
        if not self.scales:
            return 0.0
        return BEFORE + sum(
            self.part(scale) * (WHERE_BLURRED + WITH_TILES * share) for scale, share in self.done.items()
        )


@dataclass(frozen=True)
class Used:
    """Time and resources that a run has used up to a moment.

    Attributes:
        now: seconds of the clock that `EngineUse.since` has, too.
        cpu_s: CPU seconds of the process since the run began, engines included.
        engines: those of this machine; none when the photos are restored on a cluster.
    """

    now: float
    cpu_s: float = 0.0
    engines: Sequence[EngineUse] = ()

    @property
    def speed(self) -> float | None:
        """Pixels per second of one engine after its first call; None before any call has ended."""
        pixels, seconds = sum(use.later_px for use in self.engines), sum(use.later_s for use in self.engines)
        if not pixels:
            pixels = sum(use.first_px for use in self.engines)
            seconds = sum(use.first_s for use in self.engines) / FIRST_CALL
        return pixels / seconds if seconds > 0 else None

    @property
    def seen_px(self) -> float:
        """Pixels that have gone through the engines; running calls count by their elapsed time."""
        speed = self.speed or 0.0
        return sum(
            use.first_px + use.later_px + min(speed * self._running_s(use), use.running_px) for use in self.engines
        )

    @property
    def start_up_s(self) -> float:
        """Seconds lost because the engines' first calls take longer than later ones."""
        speed = self.speed
        if speed is None:
            return 0.0
        longer = ((use.first_s, use.first_s - use.first_px / speed) for use in self.engines)
        lost = sum(min(max(more, 0.0), MOST_LOST * seconds) for seconds, more in longer)
        running = (use for use in self.engines if use.running_px and not use.first_px)
        return (lost + sum(self.now - use.since - self._running_s(use) for use in running)) / len(self.engines)

    @property
    def beside_network_s(self) -> tuple[float, float] | None:
        """CPU seconds spent besides the network so far, and CPU seconds of the network per megapixel.

        None before any call has ended, or if the network does not run on the CPU.
        """
        ended_s, speed = sum(use.first_s + use.later_s for use in self.engines), self.speed
        cores = sum(use.cpu_s for use in self.engines) / ended_s if ended_s > 0 else 0.0
        if speed is None or cores < LEAST_ON_CPU:
            return None
        running_s = sum(self.now - use.since for use in self.engines if use.running_px)
        return max(self.cpu_s - cores * (ended_s + running_s), 0.0), cores / speed * 1e6

    def _running_s(self, use: EngineUse) -> float:
        """Seconds of the running call; a first call is scaled to the time of a later one."""
        if not use.running_px:
            return 0.0
        return (self.now - use.since) / (1.0 if use.first_px else FIRST_CALL)


class BatchForecast:
    """The progress of a run and the time that is left. Work is counted in megapixels that go through the network.

    How many these are is known for each scale of a photo as soon as its blurred areas have been found. Photos and
    scales that have not been looked at are assumed to have the average share of those that have. The cost besides the
    network is measured by CPU time.

    Args:
        work: of all photos, as the plan counted it; see `work_of`.
        photos: how many.
        started: when the run began, by the clock of `Used.now`.
        passes: how often the network sees each pixel.
    """

    def __init__(self, work: float, photos: int, started: float = 0.0, passes: int = 1) -> None:
        self.megapixels = 0.0
        self.photos = 0
        self._started, self._passes = started, passes
        self._waiting_work, self._waiting = work, photos
        self._in_flight: dict[int, _Photo] = {}
        self._ended_seen = self._ended_beside = self._ended_work = self._lost_seen = 0.0
        self._of_scale: dict[int, tuple[float, float]] = {}  # megapixels planned, and of the photos reduced to it

    def begin(self, number: int, megapixels: float, name: str, now: float) -> None:
        """Work on a photo begins; `number` identifies it from now on."""
        self.skip(megapixels, name)
        self._in_flight[number] = _Photo(megapixels, work_of(megapixels, name), now, BEFORE)

    def skip(self, megapixels: float, name: str) -> None:
        """A photo leaves the queue without any work."""
        self._waiting = max(self._waiting - 1, 0)
        self._waiting_work = max(self._waiting_work - work_of(megapixels, name), 0.0) if self._waiting else 0.0

    def step(self, number: int, step: Progress, now: float) -> None:
        """A photo has begun a scale or finished a tile."""
        photo, planned = self._in_flight[number], step.planned_px / 1e6
        photo.scales = step.scales
        if step.scale not in photo.planned:
            known, shown = self._of_scale.get(step.scale, (0.0, 0.0))
            self._of_scale[step.scale] = known + planned, shown + photo.megapixels / step.scale**2
            photo.phase = 0.0
        photo.planned[step.scale], photo.done[step.scale] = planned, step.done / step.total
        if step.done == step.total:
            finer = [scale for scale in photo.scales if scale < step.scale]
            photo.phase, photo.since = WHERE_BLURRED * photo.part(max(finer)) if finer else AFTER, now

    def end(self, number: int, megapixels: float | None) -> None:
        """A photo leaves the run.

        Args:
            number: see `begin`.
            megapixels: of the photo; None if it failed, was released or copied: it says nothing about others.
        """
        photo = self._in_flight.pop(number)
        if megapixels is None:
            self._lost_seen += photo.seen
            self._ended_beside += photo.size * photo.finished
            return
        self.photos += 1
        self.megapixels += megapixels
        self._ended_seen += self._expected(photo)
        self._ended_beside += photo.size
        self._ended_work += photo.work

    def share(self, used: Used) -> float:
        """How much of the work is done, 0 to 1."""
        total = self._total(used)
        return min(self._done(used) / total, 1.0) if total > 0 else 1.0

    def remaining_s(self, used: Used) -> float | None:
        """Seconds to go; None while nothing is known of the rate."""
        done = self._done(used)
        since = used.now - self._started - used.start_up_s
        if done <= 0 or since <= 0 or (used.engines and used.speed is None):
            return None
        return max(self._total(used) - done, 0.0) * since / done

    def rate(self, elapsed_s: float) -> float:
        """Megapixels of finished photos a second."""
        return self.megapixels / elapsed_s if elapsed_s > 0 else 0.0

    def _done(self, used: Used) -> float:
        in_flight = self._in_flight.values()
        seen = self._ended_seen + self._lost_seen + sum(photo.seen for photo in in_flight)
        seen = max(seen, used.seen_px / 1e6 / self._passes)
        each, speed = self._beside_network(used), (used.speed or 0.0) / 1e6
        running = (min(photo.phase * photo.size * each, speed * (used.now - photo.since)) for photo in in_flight)
        beside = self._ended_beside + sum(photo.size * photo.finished for photo in in_flight)
        return seen + beside * each + sum(running)

    def _total(self, used: Used) -> float:
        in_flight = self._in_flight.values()
        seen = self._ended_seen + sum(map(self._expected, in_flight)) + self._waiting_work * self._share_seen()
        waiting = self._waiting_work + self._waiting * EACH_MEGAPIXELS
        beside = self._ended_beside + sum(photo.size for photo in in_flight) + waiting
        return seen + self._lost_seen + beside * self._beside_network(used)

    def _beside_network(self, used: Used) -> float:
        """Cost of a photo's megapixel besides the network, in megapixels through the network."""
        measured = used.beside_network_s
        if measured is None:
            return BESIDE_NETWORK
        seconds, of_a_megapixel = measured
        in_flight = self._in_flight.values()
        size = self._ended_beside + sum(photo.size * (photo.finished + photo.phase / 2) for photo in in_flight)
        return (BESIDE_NETWORK * BESIDE_NETWORK_WEIGHT + seconds / of_a_megapixel) / (BESIDE_NETWORK_WEIGHT + size)

    def _expected(self, photo: _Photo) -> float:
        """Megapixels that the network sees of a photo."""
        if not photo.scales:
            return photo.work * self._share_seen()
        later = (scale for scale in photo.scales if scale not in photo.planned)
        return sum(photo.planned.values()) + sum(photo.megapixels / scale**2 * self._seen_at(scale) for scale in later)

    def _seen_at(self, scale: int) -> float:
        """Share of the pixels of a scale that the network sees."""
        known, shown = self._of_scale.get(scale, (0.0, 0.0))
        return (known + SEEN_SHARE * SEEN_SHARE_WEIGHT) / (shown + SEEN_SHARE_WEIGHT)

    def _share_seen(self) -> float:
        """Pixels that the network sees over all scales, relative to those of the photo."""
        known = [photo for photo in self._in_flight.values() if photo.scales]
        seen = self._ended_seen + sum(map(self._expected, known)) + SEEN_SHARE * SEEN_SHARE_WEIGHT
        return seen / (self._ended_work + sum(photo.work for photo in known) + SEEN_SHARE_WEIGHT)
