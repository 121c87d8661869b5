"""How the slow methods tell where they are."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction that is done, in [0, 1], and what is being done. It may raise to stop the work."""


def span(progress: Progress | None, start: float, stop: float) -> Progress:
    """A callback whose 0 to 1 is `start` to `stop` of `progress`; it does nothing when `progress` is None."""

    def report(done: float, stage: str) -> None:
        if progress is not None:
            progress(start + (stop - start) * min(max(done, 0.0), 1.0), stage)

    return report
