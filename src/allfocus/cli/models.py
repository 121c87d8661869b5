"""`allfocus models`: the weights that are here, and the networks that could be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from allfocus.weights.store import Model


SET = "real-val"
SCORES = {"psnr_fit": ("PSNR-fit", 2), "psnr": ("PSNR", 2), "ssim": ("SSIM", 3), "lpips": ("LPIPS", 3)}
"""What a person chooses by: means over `SET`."""


def models_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Everything about one model.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also the networks without weights (needs torch).")] = False,
    json: Annotated[bool, typer.Option(help="One JSON object on standard output.")] = False,
) -> None:
    """List the models that are installed and what to choose by; with NAME all that is known about one."""
    from allfocus.weights.store import DEFAULT, find, installed, user_folder

    models = installed()
    if name is not None:
        models = [model for model in models if model.card.name == name] or [find(name)]
    networks = _networks(models) if everything else []
    if json:
        import json as json_module

        rows = {"default": DEFAULT, "models": [_row(model) for model in models], "user_folder": str(user_folder())}
        typer.echo(json_module.dumps({**rows, "networks": networks} if everything else rows, indent=2))
        return
    if name is not None:
        _say(models[0], default=models[0].card.name == DEFAULT)
        return
    _table(models, DEFAULT)
    typer.echo(f"your own models go into {user_folder()}")
    for network in networks:
        weights = f"weights: {', '.join(network['weights'])}" if network["weights"] else "no weights"
        typer.echo(
            f"{network['name']:<16} {network['parameters'] / 1e6:6.2f} M parameters "
            f"{network['macs'] / 1e9:6.1f} G MACs at 1280x720  {weights}; {network['summary']}"
        )


def _table(models: Sequence[Model], default: str) -> None:
    if not models:
        typer.echo("no models are installed")
        return
    heads = ["model", "views", "M parameters", "MB", *(head for head, _ in SCORES.values())]
    rows = [heads]
    for row in map(_row, models):
        scores = row["scores"].get(SET, {})
        cells = [f"{scores[key]:.{digits}f}" if key in scores else "-" for key, (_, digits) in SCORES.items()]
        label = f"{row['name']}{' *' if row['name'] == default else ''}"
        rows.append([label, str(row["views"]), f"{row['parameters'] / 1e6:.2f}", f"{row['bytes'] / 1e6:.1f}", *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        typer.echo("  ".join([first, *others]))
    typer.echo(f"* default. Scores on 12 real photos ({SET}); `allfocus models NAME` tells the rest.")


def _say(model: Model, *, default: bool) -> None:
    row = _row(model)
    typer.echo(f"{row['name']}{' (default)' if default else ''}")
    typer.echo(f"  {row['parameters'] / 1e6:.2f} M parameters, {row['bytes'] / 1e6:.1f} MB, {row['licence']}")
    typer.echo(f"  reach {row['context_px']} px, tiles of {row['tile_px']} px, {row['steps']} training steps")
    for dataset, scores in row["scores"].items():
        typer.echo(f"  {dataset}: {_scores(scores)}")
    for failure in model.card.known_failures:
        typer.echo(f"  known failure: {failure}")
    typer.echo(f"  {row['path']}{'' if row['complete'] else ' (a file is missing)'}")


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{metric} {value:g}" for metric, value in scores.items())


def _row(model: Model) -> dict[str, Any]:
    card = model.card
    here = [path for path in (model.weights, model.graph) if path.is_file()]
    return {
        "name": card.name,
        "parameters": card.parameters,
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

    from allfocus.errors import MissingExtraError

    try:
        from allfocus.nets.registry import Architecture, describe_all, network_of
    except ImportError as error:
        raise MissingExtraError("allfocus models --all", "torch", "torch") from error
    cards = [model.card for model in models]
    homes = [(card.name, network_of(card.name, Architecture(**card.architecture))) for card in cards]
    described = describe_all()
    return [{**asdict(one), "weights": [name for name, home in homes if home == one.name]} for one in described]
