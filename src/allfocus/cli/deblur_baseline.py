"""`allfocus deblur --method`: photos made sharp by a method beside IFAN."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from allfocus.errors import OptionError
from allfocus.inputs import Job


def deblur_with(
    method: str,
    jobs: Sequence[Job],
    *,
    weights: str | None = None,
    compare: Callable[[Path, Path], Path] | None = None,
    overwrite: bool = False,
    as_json: bool = False,
) -> None:
    """Restore photos one by one; refuses before the first is read where the method cannot run.

    Args:
        method: a name of `baselines.registry.METHODS` that needs one view.
        jobs: which photo goes where.
        weights: file of a learnt method; looked for by the method's name when None.
        compare: writes a before/after picture of (photo, result) and returns its path.
        overwrite: replace files that are there.
        as_json: one JSON object a photo.

    Raises:
        AllfocusError: the method cannot run, or the only photo failed. SystemExit: some of several photos failed.
    """
    from allfocus.baselines import registry
    from allfocus.cli.report import Report

    if registry.method(method).views > 1:
        raise OptionError(
            f"{method}, which needs dual-pixel views, for a photo",
            f"one of {', '.join(name for name, known in registry.METHODS.items() if known.views == 1)}",
            "`allfocus eval` reads views from data sets",
        )
    registry.require(method, weights)
    report = Report(len(jobs), as_json=as_json)

    def restore(job: Job) -> None:
        row = _restore(method, job, weights, overwrite, quiet=as_json)
        row["comparison"] = None if compare is None else str(compare(job.source, job.target))
        report.finished += 1
        _say(row, as_json)

    report.each(jobs, restore)


def _restore(method: str, job: Job, weights: str | None, overwrite: bool, *, quiet: bool) -> dict[str, object]:
    from allfocus.atomic_file import AtomicFile, make_folder
    from allfocus.baselines.photographs import restore_photo
    from allfocus.baselines.registry import Options
    from allfocus.cli.bar import bar
    from allfocus.photo.codecs import decode, encode, losses

    started = time.perf_counter()
    photo = decode(job.source)
    make_folder(job.target.parent)
    AtomicFile(job.target, overwrite=overwrite).check()  # before the minutes of work
    with (
        bar(job.source.name, quiet=quiet) as progress,
        restore_photo(method, photo, progress, Options(weights=weights, selection="blend")) as canvas,
    ):
        encode(photo, canvas, job.target, overwrite=overwrite)
    return {
        "source": str(job.source),
        "output": str(job.target),
        "width": photo.width,
        "height": photo.height,
        "method": method,
        "seconds": round(time.perf_counter() - started, 3),
        "notes": [*photo.notes, *losses(photo, job.target)],
    }


def _say(row: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(row), flush=True)
        return
    print(f"{row['output']}  {row['width']}x{row['height']}, {row['method']}, {row['seconds']} s")
    for note in row["notes"]:  # type: ignore[union-attr]
        print(f"  note: {note}")
    if row["comparison"] is not None:
        print(f"  before/after: {row['comparison']}")
