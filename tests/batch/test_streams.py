"""How many engines a batch gets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allfocus.batch import streams
from allfocus.batch.streams import MOST, free_memory_mb, threads_of_each
from allfocus.batch.work import Order


class Loading(Order):
    """Says what would be loaded."""

    name = "openvino"

    def deblurrer(self, threads: int | None = None) -> Any:
        return SimpleNamespace(engine=SimpleNamespace(info=SimpleNamespace(name=self.name)), threads=threads)


class OnTorch(Loading):
    name = "torch"


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.Processor, "here", lambda: SimpleNamespace(threads=4))
    monkeypatch.setattr(streams, "free_memory_mb", lambda: 64_000.0)


@given(st.integers(1, 300), st.integers(1, 10**6), st.floats(0, 10**7))
def test_every_thread_is_used_and_no_stream_is_too_many(threads: int, photos: int, memory_mb: float) -> None:
    each = threads_of_each(threads, photos, memory_mb)
    assert len(set(each)) == 1 and threads / 2 < sum(each) <= threads
    assert 1 <= len(each) <= min(MOST, photos)
    assert len(each) == 1 or len(each) * streams.MEMORY_MB <= memory_mb


@pytest.mark.usefixtures("four_cores")
def test_an_engine_for_every_core_but_no_more_than_photos() -> None:
    def loaded(order: Order, photos: int) -> list[Any]:
        return [found.threads for found in streams.streams(order, photos)]  # type: ignore[attr-defined]

    assert loaded(Loading(), 10) == [1, 1, 1, 1]
    assert loaded(Loading(), 2) == [2, 2]
    assert loaded(Loading(), 1) == [4]
    assert len(loaded(OnTorch(), 10)) == 1


@pytest.mark.usefixtures("four_cores")
def test_a_run_that_goes_on_keeps_its_threads_however_few_photos_are_left() -> None:
    for photos in (10, 1):
        found = streams.streams(Loading(), photos, known=1)
        assert [one.threads for one in found] == [1, 1, 1, 1]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("four_cores")
def test_arrivals_get_one_engine_on_all_cores_or_as_many_as_asked_or_begun_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loaded(order: Order, count: int, known: int | None = None) -> list[Any]:
        return [found.threads for found in streams.arrival_streams(order, count, known)]  # type: ignore[attr-defined]

    assert loaded(Loading(), 1) == [4] and loaded(Loading(), 2) == [2, 2] and loaded(Loading(), 9) == [1, 1, 1, 1]
    assert loaded(Loading(), 1, known=1) == [1, 1, 1, 1] and loaded(Loading(), 4, known=4) == [4]
    assert loaded(Loading(), 1, known=8) == [8] and loaded(OnTorch(), 3) == [1]
    monkeypatch.setattr(streams, "free_memory_mb", lambda: 2 * streams.MEMORY_MB)
    assert loaded(Loading(), 4) == [2, 2]


def test_free_memory_is_the_least_of_system_and_container(tmp_path: Path) -> None:
    meminfo, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    meminfo.write_text("MemTotal:  9000000 kB\nMemAvailable:  4000000 kB\n")
    assert free_memory_mb(meminfo, limit) == pytest.approx(4096.0)
    limit.write_text("max\n")
    assert free_memory_mb(meminfo, limit) == pytest.approx(4096.0)
    limit.write_text("2000000000\n")
    assert free_memory_mb(meminfo, limit) == pytest.approx(2000.0)
