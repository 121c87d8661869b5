"""Folders of photos, and a batch on a stand-in network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allfocus.batch.journal import Journal
from allfocus.batch.local import Event, LocalRun
from allfocus.batch.work import Order
from batches import WEIGHTS, stand_in, tasks_in, write_photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five photos, one of them below."""
    place = tmp_path / "in"
    for index, name in enumerate(("a.png", "b.jpg", "c.tif", "d.webp")):
        write_photo(place / name, 40 + 8 * index, seed=index)
    write_photo(place / "below" / "e.png", 120, 90, seed=9)
    return place


@pytest.fixture
def batch() -> Callable[..., list[Event]]:
    """Run a batch as the command does; gives what happened."""

    def run(
        place: Path, out: Path, *, order: Order | None = None, engine: Any = None, retry_failed: bool = False,
        overwrite: bool = False, in_flight: int = 2, tell: Callable[[Event], None] | None = None,
    ) -> list[Event]:  # fmt: skip
        order, events = order or Order(), []
        with Journal(str(out)) as journal:
            journal.start(order.key(), order.description(), "test")
            planned = journal.plan(
                tasks_in(place, compare=order.compare),
                order.key(),
                WEIGHTS,
                retry_failed=retry_failed,
                overwrite=overwrite,
            )
            work = LocalRun(journal, [stand_in(engine)], order, WEIGHTS, in_flight=in_flight)

            def note(event: Event) -> None:
                events.append(event)
                if tell:
                    tell(event)

            work.run(planned.megapixels, note, planned.queued)
        return events

    return run
