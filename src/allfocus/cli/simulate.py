"""`allfocus simulate`: a data set of defocused and sharp photos from any folder of sharp ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from allfocus.simulate.simulator import SimulatorConfig


def simulate_command(
    photos: Annotated[Path, typer.Option(help="Folder of sharp photos, searched recursively.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Output folder; an interrupted run resumes.")],
    count: Annotated[int, typer.Option(min=1, help="Samples in all.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Sample i is rendered from seed + i.")] = 0,
    config: Annotated[Path | None, typer.Option(help="JSON file with simulator settings (docs/simulator.md).")] = None,
    depth: Annotated[
        Path | None, typer.Option(help="Folder of depth maps NAME.png, .tif, .pfm or .npy, one per photo.")
    ] = None,
    depth_kind: Annotated[
        str, typer.Option(help="depth (larger is farther) or disparity (larger is nearer).")
    ] = "depth",
    split: Annotated[str, typer.Option(help="train, val or test: the prefix of the folders.")] = "train",
    preview: Annotated[bool, typer.Option("--preview", help="Also write a contact sheet, SPLIT_preview.jpg.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one core each.")] = 1,
) -> None:
    """Simulate dual-pixel defocus on a folder of sharp photos; the output has the layout of DPDD."""
    import torch

    from allfocus.errors import OptionError
    from allfocus.simulate.dataset import DatasetSpec, open_photos, write_dataset, write_preview
    from allfocus.simulate.depth import DepthMaps
    from allfocus.targets import check_apart

    if split not in ("train", "val", "test"):
        raise OptionError(f"--split {split}", "train, val or test", "leave it out for train")
    check_apart(output, photos)
    torch.set_num_threads(1)
    settings = _settings(config, depth is not None)
    maps = None if depth is None else DepthMaps(depth, depth_kind)
    pool = open_photos(photos, settings, maps)
    for reason in pool.skipped:
        print(f"skipped {reason}", file=sys.stderr)
    spec = DatasetSpec(tuple(pool.paths), settings, seed, count, split, depth, depth_kind)
    made = write_dataset(spec, output, workers=workers, progress=_report)
    kept = f", {count - made} were there" if made < count else ""
    print(f"{count} samples from {len(pool)} photos in {output}{kept}")
    if preview:
        print(f"contact sheet in {write_preview(spec, output)}")


def _settings(config: Path | None, measured: bool) -> SimulatorConfig:
    """The settings of the file; with depth maps and no say on modes, scenes are single photos."""
    import json

    from allfocus.simulate.simulator import SimulatorConfig

    if config is not None:
        settings = SimulatorConfig.load(config)
        given = json.loads(config.read_text(encoding="utf-8")).get("scene", {})
    else:
        settings, given = SimulatorConfig(), {}
    if measured and not {"composite", "single", "plane", "identity"} & set(given):
        from dataclasses import replace

        scene = replace(settings.scene, composite=0.0, single=settings.scene.composite + settings.scene.single)
        settings = replace(settings, scene=scene)
    return settings


def _report(done: int, total: int) -> None:
    if done % 25 == 0 or done == total:
        print(f"{done}/{total} samples", file=sys.stderr, flush=True)
