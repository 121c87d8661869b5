"""`allfocus prepare`: pre-render simulated samples that training crops from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare_command(
    photos: Annotated[Path, typer.Option(help="Folder of sharp photos.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Output folder; an interrupted run resumes.")],
    count: Annotated[int, typer.Option(min=1, help="Samples to render.")] = 4000,
    side: Annotated[int, typer.Option(min=64, help="Side of a sample in px, a multiple of 16.")] = 256,
    seed: Annotated[int, typer.Option(help="Sample i is rendered from seed + i.")] = 0,
    views: Annotated[bool, typer.Option("--views", help="Also keep the dual-pixel views; doubles the size.")] = False,
    grid: Annotated[int, typer.Option(help="Cell size of the defocus map in px: 8, or 4 or 2 for DMENet.")] = 8,
    config: Annotated[Path | None, typer.Option(help="JSON file with simulator settings.")] = None,
    leave_out: Annotated[
        Path | None, typer.Option(help="Text file with the names of photos to leave out, one per line.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Pre-render simulated samples from a folder of sharp photos, for `allfocus train`."""
    from dataclasses import replace

    from allfocus.data.cache import CacheSpec, render_cache
    from allfocus.simulate.simulator import SimulatorConfig
    from allfocus.targets import check_apart

    check_apart(output, photos)
    settings = replace(SimulatorConfig() if config is None else SimulatorConfig.load(config), crop_px=side)
    left_out = [] if leave_out is None else leave_out.read_text(encoding="utf-8").split()
    spec = CacheSpec(count, side, seed, str(photos), left_out, settings.to_dict(), views, grid)
    cache = render_cache(
        spec, output, workers=workers, progress=lambda done, total: typer.echo(f"{done}/{total} samples")
    )
    typer.echo(f"{len(cache)} samples in {output}")
