"""`allfocus models`: the installed models, and the networks that can be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from allfocus.weights.store import Model


SET = "real-val"
COLUMNS = ("model", "views", "parameters, M", "MACs, B", "size, MB")
SCORES = {
    "psnr": ("PSNR", 2, 1),
    "psnr_fit": ("PSNR-fit", 2, 1),
    "psnr_aligned": ("PSNR-aligned", 2, 1),
    "ssim": ("SSIM", 3, 1),
    "mae": ("MAE x 0.1", 3, 10),
    "lpips": ("LPIPS", 3, 1),
}
"""What a person chooses by, means over `SET`: heading, digits, and what the stored mean is multiplied by. The columns
are those of results/tables.md."""


def models_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show everything about one model.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also list the networks without weights (needs torch).")
    ] = False,
    json: Annotated[bool, typer.Option(help="Print one JSON object.")] = False,
) -> None:
    """List the installed models with their size, cost and scores; with NAME, show everything about one."""
    from allfocus.folders import models_folder
    from allfocus.weights.store import DEFAULT, find, installed

    models = installed()
    if name is not None:
        models = [model for model in models if model.card.name == name] or [find(name)]
    networks = _networks(models) if everything else []
    if json:
        import json as json_module

        rows = {"default": DEFAULT, "models": [_row(model) for model in models], "models_folder": str(models_folder())}
        typer.echo(json_module.dumps({**rows, "networks": networks} if everything else rows, indent=2))
        return
    if name is not None:
        _print_model(models[0], default=models[0].card.name == DEFAULT)
        return
    _print_models(models, DEFAULT)
    typer.echo(f"your own models go into {models_folder()}")
    if everything:
        typer.echo()
        _print_networks(networks)


def _print_models(models: Sequence[Model], default: str) -> None:
    if not models:
        typer.echo("no models are installed")
        return
    rows = [[*COLUMNS, *(head for head, *_ in SCORES.values())]]
    for row in map(_row, models):
        scores = row["scores"].get(SET, {})
        cells = [
            f"{scores[key] * factor:.{digits}f}" if key in scores else "-"
            for key, (_, digits, factor) in SCORES.items()
        ]
        label = f"{row['name']}{' *' if row['name'] == default else ''}"
        macs = f"{row['macs'] / 1e9:.1f}" if row["macs"] else "-"
        counts = [str(row["views"]), f"{row['parameters'] / 1e6:.2f}", macs, f"{row['bytes'] / 1e6:.1f}"]
        rows.append([label, *counts, *cells])
    _print_table(rows)
    typer.echo(f"* default. Scores: means over 12 real photos ({SET}). MACs: at 1280x720. More: allfocus models NAME")


def _print_networks(networks: Sequence[Mapping[str, Any]]) -> None:
    rows = [["network", "parameters, M", "MACs, B", "weights", "what"]]
    for one in networks:
        counts = [f"{one['parameters'] / 1e6:.2f}", f"{one['macs'] / 1e9:.1f}"]
        rows.append([one["name"], *counts, ", ".join(one["weights"]) or "-", one["summary"]])
    _print_table(rows, left=(0, 3, 4))


def _print_table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo("  ".join(cells).rstrip())


def _print_model(model: Model, *, default: bool) -> None:
    row = _row(model)
    typer.echo(f"{row['name']}{' (default)' if default else ''}")
    macs = f", {row['macs'] / 1e9:.1f} B MACs at 1280x720" if row["macs"] else ""
    typer.echo(f"  {row['parameters'] / 1e6:.2f} M parameters{macs}, {row['bytes'] / 1e6:.1f} MB, {row['licence']}")
    typer.echo(f"  reach {row['context_px']} px, tiles of {row['tile_px']} px, {row['steps']} training steps")
    for dataset, scores in row["scores"].items():
        typer.echo(f"  {dataset}: {', '.join(_score(metric, value) for metric, value in scores.items())}")
    for failure in model.card.known_failures:
        typer.echo(f"  known failure: {failure}")
    typer.echo(f"  {row['path']}{'' if row['complete'] else ' (a file is missing)'}")


def _score(metric: str, value: float) -> str:
    head, digits, factor = SCORES.get(metric, (metric.replace("_", " "), 2, 1))
    return f"{head} {value * factor:.{digits}f}"


def _row(model: Model) -> dict[str, Any]:
    card = model.card
    here = [path for path in (model.weights, model.graph) if path.is_file()]
    return {
        "name": card.name,
        "parameters": card.parameters,
        "macs": card.macs or None,
        "bytes": sum(path.stat().st_size for path in here),
        "licence": card.licence,
        "views": card.views,
        "context_px": card.context_px,
        "tile_px": card.tile_px,
        "steps": card.steps,
        "scores": {dataset: dict(scores) for dataset, scores in card.scores.items()},
        "known_failures": list(card.known_failures),
        "path": str(model.weights),
        "complete": len(here) == 2,
    }


def _networks(models: Sequence[Model]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from allfocus.errors import needs

    with needs("allfocus models --all", "torch", "torch"):
        from allfocus.nets.registry import Architecture, describe_all, network_of
    cards = [model.card for model in models]
    homes = [(card.name, network_of(card.name, Architecture(**card.architecture))) for card in cards]
    described = describe_all()
    return [{**asdict(one), "weights": [name for name, home in homes if home == one.name]} for one in described]
