"""`allfocus eval`: scores of anything that restores photos."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from allfocus.cli.options import EngineName, Precision, Scale, TileSide
from allfocus.data.registry import LOADERS

if TYPE_CHECKING:
    from allfocus.data.pairs import PairSet
    from allfocus.evaluate.run import EvaluationOptions, EvaluationStep

COLUMNS = ("psnr", "psnr_fit", "psnr_aligned", "ssim", "mae", "lpips", "ringing", "reblur")
SHIFTS = ("shift_r", "shift_g", "shift_b")


def evaluate_command(
    methods: Annotated[
        list[str] | None, typer.Argument(metavar="METHOD...", help="input, a model, a baseline, [LABEL=]folder:PATH.")
    ] = None,
    data: Annotated[str, typer.Option(help=f"One of {', '.join(LOADERS)}.")] = "pairs",
    root: Annotated[Path | None, typer.Option(help="Folder of the data set.")] = None,
    targets: Annotated[Path | None, typer.Option(help="Folder of sharp photos, if they are not below --root.")] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    subset: Annotated[str | None, typer.Option(help="One group of scenes, such as indoor.")] = None,
    every: Annotated[int, typer.Option(help="Only every Nth scene, from the first.")] = 1,
    limit: Annotated[int | None, typer.Option(help="Only the first N scenes.")] = None,
    save_images: Annotated[bool, typer.Option("--save-images", help="Save every output as PNG.")] = False,
    maps: Annotated[bool, typer.Option("--maps", help="Also score the defocus map.")] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")] = Path("results"),
    engine: EngineName = "auto",
    precision: Precision = "auto",
    scale: Scale = "auto",
    tile: TileSide = 0,
    ungated: Annotated[
        bool, typer.Option("--ungated", help="Let networks change areas in focus too, as papers score them.")
    ] = False,
    bits: Annotated[int | None, typer.Option(help="8 rounds 16-bit files to 8 bits when reading.")] = None,
    crop: Annotated[int, typer.Option(help="Crop photos to multiples of this; 1 scores them whole.")] = 1,
    rounding: Annotated[str, typer.Option(help="float, or 8-bit as a saved file would be.")] = "float",
    lpips: Annotated[Path | None, typer.Option(help="Folder of the LPIPS files.")] = None,
    fetch_lpips: Annotated[
        bool, typer.Option("--fetch-lpips", help="Download the LPIPS files (244 MB) first.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Processes; for methods that use one core each.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard the scores of earlier runs.")] = False,
) -> None:
    """Score methods on a data set. Scores go to OUTPUT/SET/METHOD.csv; an interrupted run resumes."""
    from allfocus.data.folder import load_two
    from allfocus.data.registry import load
    from allfocus.errors import OptionError
    from allfocus.evaluate.methods import MethodSpec
    from allfocus.evaluate.run import EvaluationOptions, evaluate

    if fetch_lpips:
        from allfocus.metrics.lpips_fetch import fetch

        lpips = fetch(lpips)
        print(f"LPIPS files are in {lpips}")
        if not methods:
            return
    if not methods or root is None:
        missing = "no METHOD" if not methods else "no --root"
        raise OptionError(missing, "METHOD... --data NAME --root DIR", "allfocus eval input --data pairs --root DIR")
    pairs = load_two(root, targets, bits) if targets is not None else load(data, root, split, bits)
    pairs = pairs.only(subset) if subset else pairs
    options = EvaluationOptions(
        output, crop, rounding, lpips, save_images, maps, every, limit, jobs, fresh, command=_command()
    )
    specs = [MethodSpec(text, engine, precision, scale, tile, ungated) for text in methods]
    _follow(evaluate(pairs, specs, options), pairs, options)


def _command() -> str:
    """The command line with folders left out: stored results name no places of this machine."""
    words: list[str] = []
    for word in sys.argv[1:]:
        after_folder = bool(words) and words[-1] in ("--root", "--targets", "-o", "--output", "--lpips")
        head, separator, path = word.partition("folder:")
        if after_folder:
            words.append("DIR")
        elif separator:
            words.append(f"{head}folder:{Path(path).name}")
        elif word.startswith("--") and "=" in word and Path(word.partition("=")[2]).is_absolute():
            words.append(f"{word.partition('=')[0]}=DIR")
        else:
            words.append(Path(word).name if Path(word).is_absolute() else word)
    return shlex.join(["allfocus", *words])


def _follow(steps: Any, pairs: PairSet, options: EvaluationOptions) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    summaries: list[dict[str, Any]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}
        for step in steps:
            if isinstance(step, dict):
                summaries.append(step)
                continue
            if step.label not in tasks:
                tasks[step.label] = bars.add_task(step.label, total=step.total)
            bars.update(tasks[step.label], completed=step.done)
            if not console.is_terminal:
                print(_line(step), file=sys.stderr, flush=True)
    _print_summaries(summaries, pairs, options)


def _line(step: EvaluationStep) -> str:
    if step.row is None:
        return f"{step.label}: {step.done} of {step.total} are there from an earlier run"
    known = {name: step.row.scores.get(name) for name in COLUMNS}
    scores = "  ".join(f"{name} {value:.4f}" for name, value in known.items() if value is not None)
    return f"{step.label}: {step.done}/{step.total} {step.row.name}  {scores}  {step.row.seconds:.2f} s"


def _print_summaries(summaries: list[dict[str, Any]], pairs: PairSet, options: EvaluationOptions) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = [name for name in COLUMNS if any(one["scores"][name] is not None for one in summaries)]
    table = Table(title=f"{pairs.name}: means over the images", title_justify="left")
    table.add_column("method")
    for name in ("images", *shown, "colour shift", "s/image", "peak MiB"):
        table.add_column(name, justify="right")
    for one in summaries:
        values = [one["scores"][name] for name in shown]
        timing = one["timing"]
        table.add_row(
            one["method"],
            str(one["images"]),
            *("-" if value is None else f"{value:.4f}" for value in values),
            f"{max((one['scores'][name] for name in SHIFTS), key=abs):+.4f}",
            f"{timing['seconds_median']:.2f}",
            f"{timing['peak_mib']:.0f}",
        )
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for one in summaries[:1]:
        if str(one["lpips"]).startswith("not computed"):
            console.print(f"LPIPS {one['lpips']}; try: allfocus eval --fetch-lpips", soft_wrap=True)
    console.print(f"stored in {options.output / pairs.name}", soft_wrap=True)
