"""`allfocus deblur`: deblur photos and folders of photos."""

from __future__ import annotations

import json as json_lines
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allfocus.cli.options import EngineName, FileOptions, Precision, Scale, Strength, TileSide

if TYPE_CHECKING:
    from allfocus.deblurrer import Deblurrer
    from allfocus.errors import AllfocusError
    from allfocus.inputs import PhotoJob, Plan
    from allfocus.restore import Settings

STANDARD_STREAM = "-"


def deblur_command(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Photos, folders or globs; - reads standard input.")
    ],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="PATH", help="File, folder, or - for standard output. [NAME.sharp.EXT]"),
    ] = None,
    left: Annotated[Path | None, typer.Option(help="Left dual-pixel view, for a model of two views.")] = None,
    right: Annotated[Path | None, typer.Option(help="Right dual-pixel view, for a model of two views.")] = None,
    speed: Annotated[str, typer.Option(help="fast, balanced or best: time against quality.")] = "balanced",
    model: Annotated[
        str | None, typer.Option(help="A name from `allfocus models`, or a weights file. \\[as --speed has it]")
    ] = None,
    method: Annotated[
        str, typer.Option(help="ifan (the --model), or to compare: ebdb, jnb, dmenet, dpdnet-s.")
    ] = "ifan",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    strength: Strength = 1.0,
    scale: Scale = "auto",
    tile: TileSide = 0,
    map: Annotated[bool, typer.Option("--map", help="Also write the defocus map: NAME.map.tiff and .png.")] = False,
    keep_bokeh: Annotated[
        float | None, typer.Option(metavar="PX", help="Leave areas alone whose blur radius is PX or more.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Greyscale picture: black areas are left alone, white ones deblurred."),
    ] = None,
    compare: Annotated[bool, typer.Option(help="Also write a before/after picture: NAME.compare.jpg.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace existing results; input photos are never replaced.")] = False,
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Quality of JPEG, WebP and AVIF results. \\[the source's, 90 or more]"),
    ] = None,
    allow_damaged: Annotated[
        bool, typer.Option("--allow-damaged", help="Deblur what can be read of a damaged photo.")
    ] = False,
    pixel_limit: Annotated[float, typer.Option(metavar="MEGAPIXELS", help="Refuse larger photos.")] = 500.0,
    retry_failed: Annotated[bool, typer.Option(help="Batch: retry photos that failed before.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Batch: show what would be done, how long it takes and how large it gets.")
    ] = False,
    cluster: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Batch: run on the nodes of a Ray cluster.")
    ] = None,
    worker_cpus: Annotated[int, typer.Option(help="Cluster: CPUs per worker.")] = 2,
    worker_gpus: Annotated[float, typer.Option(help="Cluster: GPUs per worker.")] = 0.0,
    json: Annotated[bool, typer.Option(help="Print one JSON object per photo.")] = False,
) -> None:
    """Deblur out-of-focus photos. Originals are never changed; results that are there are kept.

    A folder with -o is a batch: a journal in the output folder records what is done, so the same command resumes after
    any interruption. Inputs and outputs may be s3:// and gs:// addresses; inputs also http://.
    """
    from allfocus.errors import AllfocusError, OptionError
    from allfocus.inputs import collect
    from allfocus.restore import Settings
    from allfocus.speeds import speed_of
    from allfocus.targets import check

    plan = batch = deblurrer = views = None
    try:
        chosen = speed_of(speed)
        model = model or (chosen.model if method == "ifan" else "ifan-fast")
        settings = chosen.settings(Settings(strength=strength, scale=scale, tile=tile, keep_bokeh=keep_bokeh))
        if not 0 < pixel_limit <= sys.maxsize:
            raise OptionError(f"--pixel-limit {pixel_limit:g}", "megapixels, more than 0", "--pixel-limit 500")
        how = FileOptions(overwrite, quality, round(pixel_limit * 1e6), allow_damaged, mask)
        if method != "ifan" and (map or keep_bokeh is not None):
            raise OptionError(
                f"--map or --keep-bokeh with --method {method}", "--method ifan", f"allfocus map --method {method}"
            )
        if method != "ifan" and mask is not None:
            raise OptionError(f"--mask with --method {method}", "--method ifan", "leave --mask out")
        if STANDARD_STREAM in (*inputs, output):
            if method != "ifan":
                raise OptionError(f"- with --method {method}", "--method ifan", "a file")
            if left is not None or right is not None:
                raise OptionError("- with --left and --right", "files", "a file")
            _check_stream(inputs, output, side_files=map or compare)
        if output == STANDARD_STREAM or inputs == [STANDARD_STREAM]:
            deblurrer = _deblurrer(model, engine, precision)
            _through(deblurrer, inputs[0], output, settings, how, map=map, compare=compare, as_json=json)
            return
        if _is_remote(inputs, output) and output is None:
            raise OptionError("addresses as input without -o", "a folder for the results", "-o FOLDER")
        if not _is_remote(inputs, output):
            plan = collect(inputs, output, map=map, compare=compare)
        for_batch = retry_failed or dry_run or cluster is not None
        journaled = output is not None and (plan is None or (plan.folder is not None and not plan.named))
        if for_batch and not journaled:
            raise OptionError("--retry-failed, --dry-run or --cluster", "a folder of photos and -o FOLDER", "-o FOLDER")
        plain = method == "ifan" and mask is None and left is None and right is None
        if journaled and output is not None and plain:
            from allfocus.batch.ray import Cluster
            from allfocus.batch.work import Order
            from allfocus.cli.batch import BatchOptions, PhotoBatch

            nodes = None if cluster is None else Cluster(cluster, worker_cpus, worker_gpus)
            order = Order(settings, model, engine, precision, map, compare, quality, allow_damaged, how.pixel_limit)
            batch = PhotoBatch.of(inputs, output, order, BatchOptions(overwrite, retry_failed, dry_run, nodes, json))
            plan = batch.plan
        elif plan is None or for_batch:
            raise OptionError("a batch with --method, --mask, --left or --right", "none of them", "a plain folder")
        else:
            views = _views(left, right, len(plan.jobs), method)
            if mask is not None and len(plan.jobs) > 1:
                raise OptionError(f"one mask for {len(plan.jobs)} photos", "one photo", "deblur the photos one by one")
            reads = (*(views or ()), *(() if mask is None else (mask,)))
            check([path for job in plan.jobs for path in job.writes], reads)
            if method != "ifan":
                from allfocus.cli.deblur_baseline import deblur_with

                named = None if model == "ifan-fast" else model
                deblur_with(method, plan, how, weights=named, as_json=json)
                return
            deblurrer = _deblurrer(model, engine, precision)
            if len(plan.jobs) > 1:
                deblurrer.loaded()  # refused once, not photo by photo
    except AllfocusError as error:
        if json:
            _say_refused(inputs, plan, error)
        raise
    if batch is not None:
        batch.run()
        return
    assert plan is not None and deblurrer is not None  # what is no batch has both
    _restore(deblurrer, plan, settings, how, views=views, as_json=json)


def _is_remote(inputs: list[str], output: str | None) -> bool:
    from allfocus.batch.store import is_url, plain

    return any(is_url(plain(text)) for text in (*inputs, output or ""))


def _deblurrer(model: str, engine: str, precision: str) -> Deblurrer:
    from allfocus.allocator import keep_freed_memory
    from allfocus.deblurrer import Deblurrer

    keep_freed_memory(large=False)
    return Deblurrer(model, engine, precision)


def _restore(
    deblurrer: Deblurrer,
    plan: Plan,
    settings: Settings,
    how: FileOptions,
    *,
    views: tuple[Path, Path] | None,
    as_json: bool,
) -> None:
    from allfocus.cli.report import Report, summary_of

    report = Report(plan, as_json=as_json, overwrite=how.overwrite)

    def restore(job: PhotoJob) -> None:
        with report.photo(job.source) as progress:
            result = deblurrer.run(
                job.source, job.target, settings, views=views, map=job.numbers, compare=job.comparison,
                progress=progress, **asdict(how),
            )  # fmt: skip
        report.done(job, summary_of(result.facts()), result.facts())

    report.each(restore)


def _views(left: Path | None, right: Path | None, photos: int, method: str) -> tuple[Path, Path] | None:
    from allfocus.errors import OptionError

    if left is None and right is None:
        return None
    if left is None or right is None:
        raise OptionError("one dual-pixel view", "both views of the photo", "--left LEFT --right RIGHT")
    if photos > 1:
        raise OptionError(f"one pair of views for {photos} photos", "one photo", "deblur the photos one by one")
    if method != "ifan":
        raise OptionError(f"--left and --right with --method {method}", "--method ifan", "allfocus eval scores it")
    return left, right


def _check_stream(inputs: list[str], output: str | None, *, side_files: bool) -> None:
    """Refuse what standard input and output cannot do."""
    from allfocus.errors import OptionError

    if len(inputs) > 1:
        raise OptionError(f"{len(inputs)} photos and -", "one photo", "a folder with -o DIR")
    if side_files and (output is None or output == STANDARD_STREAM):
        raise OptionError("--map or --compare with -", "a file for the photo, to put them beside", "-o sharp.jpg")
    if output in (None, STANDARD_STREAM) and sys.stdout.isatty():
        raise OptionError("a photo written to the terminal", "standard output redirected to a file", "> sharp.jpg")


def _through(
    deblurrer: Deblurrer, source: str, output: str | None, settings: Settings, how: FileOptions, *,
    map: bool, compare: bool, as_json: bool,
) -> None:  # fmt: skip
    """One photo from standard input, to standard output, or both; then what is said goes to standard error."""
    from allfocus.cli.report import Report, summary_of
    from allfocus.errors import OutputError
    from allfocus.inputs import PhotoJob, Plan

    if output is None or output == STANDARD_STREAM:
        target, numbers, pair = None, None, None
    else:
        target = Path(output)
        numbers = target.with_name(f"{target.stem}.map.tiff") if map else None
        pair = target.with_name(f"{target.stem}.compare.jpg") if compare else None
    name = "standard input" if source == STANDARD_STREAM else source
    job = PhotoJob(Path(name), target or Path("standard output"), numbers, pair)
    report = Report(
        Plan((job,), named=True), as_json=as_json, overwrite=True, to=None if target is not None else sys.stderr
    )

    def restore(job: PhotoJob) -> None:
        data = sys.stdin.buffer.read() if source == STANDARD_STREAM else _bytes_of(Path(source))
        result = deblurrer.run(data, target, settings, map=numbers, compare=pair, **asdict(how))
        if isinstance(result.output, bytes):
            try:
                sys.stdout.buffer.write(result.output)
                sys.stdout.buffer.flush()
            except OSError as error:
                raise OutputError(
                    f"standard output could not be written ({error.strerror})", "a place with free space", "-o FILE"
                ) from error
        report.done(job, summary_of(result.facts()), result.facts())

    report.each(restore)


def _bytes_of(path: Path) -> bytes:
    from allfocus.errors import InputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", "a photo", "another name") from error


def _say_refused(inputs: list[str], plan: Plan | None, error: AllfocusError) -> None:
    """A line of JSON for each photo of a run that did not start."""
    sources = inputs if plan is None else [str(job.source) for job in plan.jobs]
    for source in sources:
        print(json_lines.dumps({"source": source, "status": "failed", "error": str(error)}))
