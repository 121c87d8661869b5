"""The end of a run, foretold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allfocus.batch.forecast import EACH_MEGAPIXELS, BatchProgress, work_of


@given(st.lists(st.floats(0.1, 50), min_size=10, max_size=60), st.floats(0.2, 5))
def test_at_a_steady_rate_the_end_is_known_at_any_time(sizes: list[float], seconds_each: float) -> None:
    sizes = sorted(sizes, reverse=True)
    cost = [(size + EACH_MEGAPIXELS) * seconds_each for size in sizes]
    progress, elapsed = BatchProgress(sum(sizes), len(sizes)), 0.0
    for size, seconds in zip(sizes[:-1], cost[:-1], strict=True):
        elapsed += seconds
        progress.add(size, size)
        remaining = progress.remaining_s(elapsed)
        assert remaining is not None and elapsed + remaining == pytest.approx(sum(cost), rel=1e-6)


def test_photos_in_the_air_and_photos_that_fail_count() -> None:
    progress = BatchProgress(10.0, 2)
    assert progress.remaining_s(1.0) is None
    assert progress.remaining_s(10.0, in_the_air=5.05) == pytest.approx(10.0)
    progress.skip(5.0)
    assert progress.share(in_the_air=5.05) == pytest.approx(1.0)


def test_formats_that_take_long_to_write_are_known_to() -> None:
    photos = [("a.jpg", 1.0), ("b.avif", 1.3), ("c.webp", 1.1)]  # seconds of each
    total = sum(seconds for _, seconds in photos)
    progress, elapsed = BatchProgress(sum(work_of(10.0, name) for name, _ in photos), 0), 0.0
    for name, seconds in photos:
        elapsed += seconds
        progress.add(work_of(10.0, name) - EACH_MEGAPIXELS, 10.0)
        remaining = progress.remaining_s(elapsed)
        assert remaining is not None and elapsed + remaining == pytest.approx(total, rel=1e-6)
