"""`allfocus deblur`: photos and folders of photos, made sharp everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def deblur_command(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Photos, folders or globs.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File for one photo, folder for many. [NAME.sharp.EXT]")
    ] = None,
    left: Annotated[Path | None, typer.Option(help="Left dual-pixel view, for a model of two views.")] = None,
    right: Annotated[Path | None, typer.Option(help="Right dual-pixel view, for a model of two views.")] = None,
    model: Annotated[str, typer.Option(help="A name from `allfocus models`, or a weights file.")] = "ifan-fast",
    method: Annotated[str, typer.Option(help="ifan, or for comparison: ebdb, jnb, dmenet, dpdnet-s.")] = "ifan",
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    strength: Annotated[float, typer.Option(help="0 keeps the photo, 1 is the whole correction.")] = 1.0,
    scale: Annotated[str, typer.Option(help="Coarsest working scale: auto, 1, 2 or 4.")] = "auto",
    tile: Annotated[int, typer.Option(help="Side of a tile in px; 0 chooses.")] = 0,
    map: Annotated[bool, typer.Option("--map", help="Also write the defocus map: NAME.map.tiff and .png.")] = False,
    keep_bokeh: Annotated[
        float | None, typer.Option(metavar="PX", help="Leave places alone that are blurred by this radius or more.")
    ] = None,
    compare: Annotated[bool, typer.Option(help="Also write a before/after picture.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace outputs that are there.")] = False,
    json: Annotated[bool, typer.Option(help="One JSON object a photo on standard output.")] = False,
) -> None:
    """Make photos sharp everywhere. Originals are never touched."""
    from allfocus.cli.report import Report
    from allfocus.deblurrer import Deblurrer
    from allfocus.errors import OptionError
    from allfocus.inputs import Job, collect
    from allfocus.restore import Settings

    settings = Settings(strength=strength, scale=scale, tile=tile, keep_bokeh=keep_bokeh)
    jobs = collect(inputs, output)
    views = _views(left, right, len(jobs), method)
    if method != "ifan":
        if map or keep_bokeh is not None:
            raise OptionError(
                f"--map or --keep-bokeh with --method {method}", "--method ifan", f"allfocus map --method {method}"
            )
        from allfocus.cli.deblur_baseline import deblur_with

        named = None if model == "ifan-fast" else model
        pictures = _write_comparison if compare else None
        deblur_with(method, jobs, weights=named, compare=pictures, overwrite=overwrite, as_json=json)
        return
    report = Report(len(jobs), as_json=json)
    deblurrer = Deblurrer(model, engine, precision)

    def restore(job: Job) -> None:
        numbers = job.target.with_name(f"{job.source.stem}.map.tiff") if map else None
        with report.photo(job.source) as progress:
            done = deblurrer.run(
                job.source, job.target, settings, views=views, map=numbers, overwrite=overwrite, progress=progress
            )
        picture = _write_comparison(job.source, job.target) if compare else None
        report.done(job, done, picture, numbers)

    report.each(jobs, restore)


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


def _write_comparison(source: Path, target: Path) -> Path:
    from allfocus.comparison import write_comparison

    picture = target.with_name(f"{source.stem}.compare.jpg")
    write_comparison(source, target, picture)
    return picture
