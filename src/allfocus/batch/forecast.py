"""The expected end of a run, its memory, and the disk space of its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

EACH_MEGAPIXELS = 0.05
"""What a photo costs besides its pixels (opening, planning, naming), as pixels of work."""

GROWTH = 1.3
"""Results are this much larger than their sources while nothing is known of the photos: JPEG is written at 95."""


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to take.

    Attributes:
        photos: to do.
        megapixels: to do.
        seconds: by the rate given, None where none is known.
        memory_mb: at most at one time, engine included.
        space_mb: of the results.
    """

    photos: int
    megapixels: float
    seconds: float | None
    memory_mb: float
    space_mb: float


EFFORT = {".png": 1.1, ".webp": 1.1, ".avif": 1.3}
"""What a pixel takes where writing it is slow, as multiples of one in a JPEG or TIFF: the network and all around it."""


def work_of(megapixels: float, name: str) -> float:
    """What a photo takes, in megapixels of a JPEG.

    >>> work_of(2.0, "a.jpg"), work_of(2.0, "a.AVIF")
    (2.0, 2.6)
    """
    return megapixels * EFFORT.get(PurePosixPath(name).suffix.lower(), 1.0)


class BatchProgress:
    """The progress of a run, and an estimate of its end from what it has done so far.

    Args:
        work: of all photos, as the plan counted it; see `work_of`.
        photos: how many.
    """

    def __init__(self, work: float, photos: int) -> None:
        self.total = work + photos * EACH_MEGAPIXELS
        self.megapixels = 0.0
        self.photos = 0
        self._done = 0.0

    def add(self, expected: float, measured: float) -> None:
        """One photo is done.

        Args:
            expected: work that the plan counted.
            measured: megapixels that it had.
        """
        self.photos += 1
        self.megapixels += measured
        self._done += expected + EACH_MEGAPIXELS

    def skip(self, expected: float) -> None:
        """One photo cost nothing: it failed, or a result was copied."""
        self.total -= expected + EACH_MEGAPIXELS

    def share(self, in_the_air: float = 0.0) -> float:
        """How much of the work is done, 0 to 1; `in_the_air` megapixels are done of photos that are not finished."""
        return min(self.done(in_the_air) / self.total, 1.0) if self.total > 0 else 1.0

    def done(self, in_the_air: float = 0.0) -> float:
        """The work that is done, in megapixels and what photos cost besides."""
        return self._done + in_the_air

    def remaining_s(self, elapsed_s: float, in_the_air: float = 0.0) -> float | None:
        """Seconds to go after `elapsed_s`; None while nothing is done."""
        share = self.share(in_the_air)
        return elapsed_s * (1 - share) / share if share > 0 else None

    def rate(self, elapsed_s: float) -> float:
        """Megapixels a second."""
        return self.megapixels / elapsed_s if elapsed_s > 0 else 0.0
