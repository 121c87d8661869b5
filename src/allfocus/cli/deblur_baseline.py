"""`allfocus deblur --method`: deblur photos with a baseline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from allfocus.errors import OptionError
from allfocus.inputs import PhotoJob, Plan

if TYPE_CHECKING:
    from allfocus.baselines.base import Baseline
    from allfocus.cli.options import FileOptions


def deblur_with(
    method: str, plan: Plan, how: FileOptions, *, weights: str | None = None, as_json: bool = False
) -> None:
    """Restore photos one by one with a method of one view; `weights` as in `baselines.registry.load`.

    Raises:
        AllfocusError: the method cannot run, or the only photo failed. SystemExit: some of several photos failed.
    """
    from allfocus.baselines import registry
    from allfocus.cli.report import Report

    if registry.entry(method).views > 1:
        raise OptionError(
            f"{method}, which needs dual-pixel views, for a photo",
            f"one of {', '.join(name for name, known in registry.METHODS.items() if known.views == 1)}",
            "`allfocus eval`, which reads views from data sets",
        )
    baseline = registry.load(method, weights)
    report = Report(plan, as_json=as_json, overwrite=how.overwrite)

    def restore(job: PhotoJob) -> None:
        facts = _restore(baseline, job, how, quiet=as_json)
        report.done(job, f"{facts['width']}x{facts['height']}, {method}, {facts['seconds']} s", facts)

    report.each(restore)


def _restore(baseline: Baseline, job: PhotoJob, how: FileOptions, *, quiet: bool) -> dict[str, Any]:
    from allfocus.atomic_file import AtomicFile, make_folder
    from allfocus.baselines.base import BaselineOptions
    from allfocus.baselines.registry import restore_photo
    from allfocus.cli.report import bar
    from allfocus.comparison import write_comparison
    from allfocus.photo.codecs import check, decode, encode, losses

    started = time.perf_counter()
    photo = decode(job.source, max_pixels=how.pixel_limit, allow_damaged=how.allow_damaged)
    check(photo, job.target, quality=how.quality)
    make_folder(job.target.parent)
    for path in job.writes:  # before the minutes of work
        AtomicFile(path, overwrite=how.overwrite).check()
    with (
        bar(job.source.name, quiet=quiet) as progress,
        restore_photo(baseline, photo, progress, BaselineOptions(selection="blend")) as canvas,
    ):
        encode(photo, canvas, job.target, quality=how.quality, overwrite=how.overwrite)
        if job.comparison is not None:
            write_comparison(photo, canvas, job.comparison, overwrite=how.overwrite)
    return {
        "width": photo.width,
        "height": photo.height,
        "method": baseline.name,
        "seconds": round(time.perf_counter() - started, 3),
        "notes": [*photo.notes, *losses(photo, job.target, quality=how.quality)],
    }
