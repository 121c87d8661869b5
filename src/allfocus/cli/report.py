"""Progress and results of `allfocus deblur`: a bar on a terminal, plain lines or JSON elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from allfocus.cli.debug import print_trace
from allfocus.cli.stopping import Stopped, check_stopped
from allfocus.errors import AllfocusError, InputError, UnexpectedError
from allfocus.inputs import PhotoJob, Plan
from allfocus.ledger import Ledger
from allfocus.restore import Progress
from allfocus.targets import Claims


class Report:
    """Runs a plan photo by photo: progress on standard error, one outcome for each photo on standard output.

    Args:
        plan: what to do.
        as_json: outcomes as one JSON object a line; nothing else on standard output.
        overwrite: restore photos again whose results are there.
        to: where outcomes go instead of standard output.
    """

    def __init__(self, plan: Plan, *, as_json: bool, overwrite: bool = False, to: TextIO | None = None) -> None:
        self.plan = plan
        self.as_json = as_json
        self.overwrite = overwrite
        self._ledgers: dict[Path, Ledger] = {}
        self.total = len(plan.jobs) + len(plan.refused)
        self.failures: list[tuple[Path | str, AllfocusError]] = []
        self.finished = 0
        self.passed = 0
        self.lost: Exception | None = None
        self._to = to

    def each(self, restore: Callable[[PhotoJob], None]) -> None:
        """Restore photos one by one; a photo that fails, whatever the reason, does not stop the others.

        Args:
            restore: makes every file of a job, and says so with `done`.

        Raises:
            AllfocusError: the only photo failed. SystemExit: some of several photos failed, or nobody could be told.
            Stopped: by a signal; after the summary.
        """
        for sentence in self.plan.passed_over:
            print(sentence, file=sys.stderr)
        for refused in self.plan.refused:
            self.failed(refused.source, refused.error)
        claims = Claims(job.source for job in self.plan.jobs)
        waiting = list(self.plan.jobs)
        try:
            while waiting:
                check_stopped()
                self._attempt(waiting[0], claims, restore)
                del waiting[0]
        except Stopped:
            for job in waiting:
                self._row({"source": str(job.source), "status": "stopped"})
            with suppress(OSError, ValueError):
                print(f"{self._counts()}, {len(waiting)} not; the same command resumes", file=sys.stderr)
            raise
        self._end()

    def _attempt(self, job: PhotoJob, claims: Claims, restore: Callable[[PhotoJob], None]) -> None:
        try:
            claims.take(job.writes)
            if job.is_done() and not self.overwrite and not self.plan.named:
                self.skipped(job)
                return
            self._list(job)  # before, so that a kill leaves no result that is not listed
            restore(job)
            claims.add_written(job.writes)
            self._list(job)  # again, where the folder was made only now
        except AllfocusError as error:
            check_stopped()  # a writer that a signal broke off reports a failure
            self.failed(job.source, error)
        except MemoryError:
            error = InputError(f"{job.source} needs more memory than is free", "a smaller photo", "--tile 512")
            self.failed(job.source, error)
        except OSError as error:
            print_trace()
            got = f"{job.source} could not be restored ({error.strerror or error})"
            self.failed(job.source, InputError(got, "a readable and writable disk", "again"))
        except Exception as error:  # one photo never ends the others
            print_trace()
            self.failed(job.source, UnexpectedError(error))

    def _list(self, job: PhotoJob) -> None:
        """List the files of a job as results in the output folder, if there is one."""
        folder = job.target.parent
        if self.plan.folder is None or not folder.is_dir():
            return
        if folder not in self._ledgers:
            self._ledgers[folder] = Ledger(folder)
        self._ledgers[folder].add(*(path.name for path in job.writes))

    def _end(self) -> None:
        if self.lost is not None:
            with suppress(OSError, ValueError):
                print(f"standard output could not be written ({self.lost}); {self._counts()}", file=sys.stderr)
            raise SystemExit(AllfocusError.exit_code)
        if self.plan.named and self.failures:
            raise self.failures[0][1]
        if self.total > 1 and (self.failures or self.passed) and not self.as_json:
            print(f"{self._counts()}{':' if self.failures else ''}", file=sys.stderr)
            for path, failure in self.failures:
                print(f"  {with_name(path, failure)}", file=sys.stderr)
        if self.failures:
            raise SystemExit(AllfocusError.exit_code)

    def _counts(self) -> str:
        parts = [f"{self.finished} of {self.total} photos done"]
        if self.passed:
            parts.append(f"{self.passed} skipped whose results are there (--overwrite makes them again)")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        return ", ".join(parts)

    @contextmanager
    def photo(self, source: Path) -> Iterator[Callable[[Progress], None]]:
        """A progress callback for one photo: a bar where a person watches, none elsewhere."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda step: check_stopped()
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[tiles]}"))
        with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(source.name, total=None, tiles="")

            def advance(step: Progress) -> None:
                check_stopped()
                size = "" if step.scale == 1 else f" at 1/{step.scale}"
                done = f"{step.done}/{step.total} tiles"
                bars.update(task, description=f"{source.name}{size}", completed=step.done, total=step.total, tiles=done)

            yield advance

    def done(self, job: PhotoJob, summary: str, facts: Mapping[str, Any]) -> None:
        """Say that a photo is finished.

        Args:
            job: the photo and its files.
            summary: the line for people.
            facts: for the line of JSON; "notes" among them are for people too.
        """
        maps, pair = (None if path is None else str(path) for path in (job.numbers, job.comparison))
        files = {"source": str(job.source), "output": str(job.target), "comparison": pair, "map": maps}
        self._done(files, summary, facts)

    def _done(self, files: Mapping[str, Any], summary: str, facts: Mapping[str, Any]) -> None:
        self.finished += 1
        self._row({**files, "status": "done", **facts})
        lines = [f"{files['output']}  {summary}", *(f"  note: {note}" for note in facts["notes"])]
        if files["comparison"] is not None:
            lines.append(f"  before/after: {files['comparison']}")
        if files["map"] is not None:
            lines.append(f"  defocus map: {files['map']} (0.01 px a step), its picture beside it")
        self._lines(lines)

    def skipped(self, job: PhotoJob) -> None:
        """Say that the result of a photo is there from an earlier run."""
        self.passed += 1
        missing = [path.name for path in job.writes if not path.exists()]
        lacking = f", without {' and '.join(missing)}" if missing else ""
        self._row({"source": str(job.source), "status": "skipped", "output": str(job.target), "missing": missing})
        self._lines([f"{job.target}  is there{lacking}: skipped"])

    def failed(self, source: Path | str, error: AllfocusError) -> None:
        """Remember a failure; the other photos go on."""
        self.failures.append((source, error))
        self._row({"source": str(source), "status": "failed", "error": str(error)})

    def _row(self, row: Mapping[str, Any]) -> None:
        if self.as_json:
            self._print(json.dumps(row))

    def _lines(self, lines: Sequence[str]) -> None:
        if not self.as_json:
            self._print("\n".join(lines))

    def _print(self, text: str) -> None:
        """Print; if the output is closed, go on with the photos and report it at the end."""
        if self.lost is not None:
            return
        try:
            print(text, flush=True, file=self._to)
        except (OSError, ValueError) as error:
            self.lost = error


def with_name(path: Path | str, failure: AllfocusError | str) -> str:
    """A failure with the name of its photo, once."""
    return str(failure) if str(failure).startswith(str(path)) else f"{path}: {failure}"


def summary_of(facts: Mapping[str, Any]) -> str:
    """The line of text for a photo that the network restored; see `Deblurred.facts`."""
    scales = "+".join("full" if scale == 1 else f"1/{scale}" for scale in facts["scales"])
    return (
        f"{facts['width']}x{facts['height']}, blur about {facts['blur_px']['large']:.1f} px, worked at {scales} size, "
        f"{facts['engine']['name']} {facts['engine']['precision']}, {facts['seconds']:.1f} s"
    )


@contextmanager
def bar(name: str, *, quiet: bool = False) -> Iterator[Callable[[float, str], None] | None]:
    """A bar where a person watches, None elsewhere or when `quiet`; it is called with (share done, stage)."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(escape(name), total=1.0)
        yield lambda done, stage: bars.update(task, completed=done, description=escape(f"{name}: {stage}"))
