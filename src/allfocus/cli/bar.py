"""A progress bar for one long computation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(name: str, *, quiet: bool = False) -> Iterator[Callable[[float, str], None] | None]:
    """A bar where a person watches, None elsewhere or when `quiet`; it is called with (share done, stage)."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=1.0)
        yield lambda done, stage: bars.update(task, completed=done, description=f"{name}: {stage}")
