"""`allfocus train`: train a network on a cache of simulated samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train_command(
    cache: Annotated[Path, typer.Option(help="Folder that `allfocus prepare` has made.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run; a killed run continues there.")],
    config: Annotated[Path | None, typer.Option(help="JSON file with settings of the run.")] = None,
    validate: Annotated[Path | None, typer.Option(help="Folder of real pairs: source/ and target/.")] = None,
    lpips: Annotated[Path | None, typer.Option(help="Folder of the LPIPS files, for that column.")] = None,
    start_from: Annotated[Path | None, typer.Option(help="Folder of a run to fine-tune from.")] = None,
    stop_at: Annotated[int | None, typer.Option(min=1, help="End at this step, schedule unchanged.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the configured number of steps.")] = None,
) -> None:
    """Train a network; writes checkpoints, losses.csv and validation.csv, and resumes where it was stopped."""
    from dataclasses import replace

    from allfocus.data.cache import SampleCache
    from allfocus.train.config import load_config
    from allfocus.train.loop import train
    from allfocus.train.validate import RealPairs

    settings = load_config(config)
    if steps is not None:
        settings = replace(settings, steps=steps)
    pairs = None if validate is None else RealPairs(validate, lpips, settings.bfloat16)
    train(
        settings,
        SampleCache(cache),
        output,
        start_from=start_from,
        stop_at=stop_at,
        validate=pairs,
        report=lambda line: print(line, flush=True),
    )
