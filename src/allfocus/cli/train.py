"""`allfocus train`: train a network on simulated samples or photographed pairs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated

import typer

from allfocus.errors import OptionError, needs

if TYPE_CHECKING:
    from allfocus.data.source import Source
    from allfocus.train.config import TrainConfig


def train_command(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the run; an interrupted run resumes.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Named settings: ifan, ifan-fast, finetune, ...")] = None,
    provenance: Annotated[
        str | None,
        typer.Option(help="Repeat the training stages of a shipped model (ifan-fast, ...) from --photos."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands of --provenance and exit.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings, on top of the recipe's.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, as loss.warp=0.5; repeat for more.")
    ] = None,
    cache: Annotated[
        list[Path] | None, typer.Option(help="Folder made by `allfocus prepare`; several are mixed.")
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of sharp photos; samples are simulated during training.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Photographed pairs: DIR, or dpdd:ROOT.")] = None,
    simulator: Annotated[Path | None, typer.Option(help="With --photos: JSON file with simulator settings.")] = None,
    leave_out: Annotated[
        Path | None, typer.Option(help="With --photos: text file with the names of photos to leave out.")
    ] = None,
    validate: Annotated[
        list[str] | None, typer.Option(help="Pairs to validate on: DIR with source/ and target/, or syndp:DIR.")
    ] = None,
    lpips: Annotated[Path | None, typer.Option(help="Folder of the LPIPS files; adds LPIPS to the validation.")] = None,
    start_from: Annotated[
        list[str] | None,
        typer.Option(help="A run's folder or a model, to fine-tune from (repeatable: from their mean)."),
    ] = None,
    stop_at: Annotated[
        int | None, typer.Option(min=1, help="Stop at this step; the schedule stays that of --steps.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps, instead of the recipe's.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare samples in advance.")] = 0,
    devices: Annotated[int, typer.Option(min=1, help="Devices on this machine; ignored under torchrun.")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    board: Annotated[bool, typer.Option(help="Also log to TensorBoard, with pictures.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print all settings as YAML and exit.")] = False,
) -> None:
    """Train a network: checkpoints, losses.csv and validation.csv. The same command resumes an interrupted run."""
    if provenance is not None:
        if recipe is not None or config is not None or change or cache or data is not None:
            raise OptionError("--provenance with other settings or samples", "--photos DIR alone", "--dry-run")
        passed = [word for place in validate or [] for word in ("--validate", place)]
        passed += [] if lpips is None else ["--lpips", str(lpips)]
        passed += [] if accelerator == "auto" else ["--accelerator", accelerator]
        passed += ["--workers", str(workers)] if workers else []
        _replay(provenance, photos, output, passed, validate or [], dry_run=dry_run)
        return
    from allfocus.train.config import as_yaml, load_config
    from allfocus.train.recipes import recipe as shipped

    base = None if recipe is None else shipped(recipe)
    start = start_from[0] if start_from and len(start_from) == 1 else start_from or None
    named = {"steps": steps, "start_from": start if start is None or isinstance(start, str) else json.dumps(start)}
    changes = [*(change or []), *(f"{name}={value}" for name, value in named.items() if value is not None)]
    settings = load_config(config, changes, base)
    if show:
        typer.echo(as_yaml(settings), nl=False)
        return
    _run(
        settings,
        _folder(output),
        cache=cache or [], photos=photos, data=data, simulator=simulator, leave_out=leave_out,
        validate=validate or [], lpips=lpips, stop_at=stop_at,
        workers=workers, devices=devices, accelerator=accelerator, board=board,
    )  # fmt: skip


def _replay(
    name: str, photos: Path | None, output: Path | None, options: list[str], validate: list[str], *, dry_run: bool
) -> None:
    """Print or run the commands of a model's provenance; its reach is measured on the first folder of pairs."""
    from allfocus.train.provenance import Provenance, replay

    found = Provenance.read(name)
    pairs = next((Path(place) / "source" for place in validate if ":" not in place), None)
    if dry_run:
        commands = found.commands(photos or Path("PHOTOS"), output or Path("OUTPUT"), options, pairs or Path("BLURRED"))
        for number, command in enumerate(commands, start=1):
            print(f"{number}. {command.line}")
            for text in (command.why, *command.files.values()):
                print(indent(text.rstrip(), "   "), end="\n" if text.strip() else "")
        return
    if photos is None or pairs is None:
        raise OptionError(
            "no sharp photos, or no pairs to measure the network's reach on",
            "--photos DIR --validate DIR, the latter with source/ and target/",
            f"allfocus train --provenance {name} --dry-run",
        )
    replay(found.commands(photos, _folder(output), options, pairs))


def _run(
    settings: TrainConfig, folder: Path, *, cache: list[Path], photos: Path | None, data: str | None,
    simulator: Path | None, leave_out: Path | None, validate: list[str], lpips: Path | None,
    stop_at: int | None, workers: int, devices: int, accelerator: str, board: bool,
) -> None:  # fmt: skip

    with needs("training", "train", "lightning"):
        from allfocus.train.launch import open_fabric
    from allfocus.train.loop import train
    from allfocus.train.validate import Validation, all_scores

    fabric = open_fabric(settings, accelerator, devices)
    source = _source(settings, cache, photos, data, simulator, leave_out, "cpu" if workers else str(fabric.device))
    sets = [Validation.open(place, lpips) for place in validate]
    train(
        settings, source, folder, fabric=fabric, stop_at=stop_at, workers=workers, board=board,
        validate=partial(all_scores, sets) if sets else None, report=lambda line: print(line, flush=True),
    )  # fmt: skip


def _folder(output: Path | None) -> Path:
    if output is None:
        raise OptionError("no folder for the run", "-o DIR", "-o runs/first")
    return output


def _source(
    settings: TrainConfig, cache: list[Path], photos: Path | None, data: str | None, simulator: Path | None,
    leave_out: Path | None, device: str,
) -> Source:  # fmt: skip
    """The one place that samples come from."""
    from dataclasses import replace

    if sum(bool(place) for place in (cache, photos, data)) != 1:
        raise OptionError(
            "no samples, or samples from several places",
            "one of --cache DIR, --photos DIR and --data DIR",
            "allfocus prepare --photos DIR -o runs/samples, then --cache runs/samples",
        )
    if cache:
        from allfocus.data.cache import Mixture, SampleCache

        caches = [SampleCache(folder) for folder in cache]
        return caches[0] if len(caches) == 1 else Mixture(caches)
    if data is not None:
        from allfocus.data.photographed import PhotographedPairs
        from allfocus.data.registry import load

        name, _, root = data.rpartition(":")
        return PhotographedPairs(load(name or "pairs", Path(root), "train"))
    from allfocus.data.stream import SimulatedStream
    from allfocus.simulate.simulator import SimulatorConfig

    assert photos is not None
    config = SimulatorConfig() if simulator is None else SimulatorConfig.load(simulator)
    side_px = max(config.crop_px, *settings.patches)
    left_out = [] if leave_out is None else leave_out.read_text(encoding="utf-8").split()
    return SimulatedStream(photos, left_out, replace(config, crop_px=side_px), device)
