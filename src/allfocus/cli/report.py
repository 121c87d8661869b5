"""What the command line says while photos are restored: a bar on a terminal, plain lines or JSON elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from allfocus.deblurrer import Deblurred
from allfocus.errors import AllfocusError
from allfocus.inputs import Job
from allfocus.restore import Progress


class Report:
    """Progress on standard error, results on standard output.

    Args:
        total: photos to come.
        as_json: results as one JSON object a line; nothing else on standard output.
    """

    def __init__(self, total: int, *, as_json: bool) -> None:
        self.total = total
        self.as_json = as_json
        self.failures: list[tuple[Path, AllfocusError]] = []
        self.finished = 0

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.failures and not self.as_json:
            print(f"{self.finished} of {self.total} photos done, {len(self.failures)} failed:", file=sys.stderr)
            for path, failure in self.failures:
                print(f"  {path}: {failure}", file=sys.stderr)

    def each(self, jobs: Sequence[Job], restore: Callable[[Job], None]) -> None:
        """Restore photos one by one; a photo that fails does not stop the others.

        Raises:
            AllfocusError: the only photo failed. SystemExit: some of several photos failed.
        """
        with self:
            for job in jobs:
                try:
                    restore(job)
                except AllfocusError as error:
                    if len(jobs) == 1:
                        raise
                    self.failed(job, error)
        if self.failures:
            raise SystemExit(AllfocusError.exit_code)

    @contextmanager
    def photo(self, source: Path) -> Iterator[Callable[[Progress], None] | None]:
        """A progress callback for one photo: a bar where a person watches, None elsewhere."""
        if self.as_json or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} tiles"))
        with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(source.name, total=None)

            def advance(step: Progress) -> None:
                size = "" if step.scale == 1 else f" at 1/{step.scale}"
                bars.update(task, description=f"{source.name}{size}", completed=step.done, total=step.total)

            yield advance

    def done(self, job: Job, result: Deblurred, comparison: Path | None, map: Path | None = None) -> None:
        """Say that a photo is finished."""
        self.finished += 1
        if self.as_json:
            self._print_json(job, result, comparison, map)
            return
        scales = "+".join("full" if scale == 1 else f"1/{scale}" for scale in result.scales)
        print(
            f"{result.output}  {result.width}x{result.height}, blur about {result.blur.large_px:.1f} px, "
            f"worked at {scales} size, {result.engine.name} {result.engine.precision}, {result.seconds:.1f} s"
        )
        for note in result.notes:
            print(f"  note: {note}")
        if comparison is not None:
            print(f"  before/after: {comparison}")
        if map is not None:
            print(f"  defocus map: {map} (0.01 px a step), picture {map.with_suffix('.png').name}")

    def failed(self, job: Job, error: AllfocusError) -> None:
        """Remember a failure; the other photos go on."""
        self.failures.append((job.source, error))
        if self.as_json:
            print(json.dumps({"source": str(job.source), "error": str(error)}), flush=True)

    def _print_json(self, job: Job, result: Deblurred, comparison: Path | None, map: Path | None) -> None:
        row = {
            "source": str(job.source),
            "output": str(result.output),
            "width": result.width,
            "height": result.height,
            "blur_px": {"typical": result.blur.typical_px, "large": result.blur.large_px},
            "scales": list(result.scales),
            "tile": result.tile,
            "engine": {"name": result.engine.name, "precision": result.engine.precision, "model": result.engine.model},
            "seconds": round(result.seconds, 3),
            "notes": list(result.notes),
            "comparison": None if comparison is None else str(comparison),
            "map": None if map is None else str(map),
        }
        print(json.dumps(row), flush=True)
