"""The entry point: finds the command, loads it alone, and turns refusals into one line and exit code 2."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "deblur": ("allfocus.cli.deblur", "deblur_command"),
    "models": ("allfocus.cli.models", "models_command"),
    "doctor": ("allfocus.cli.doctor", "doctor_command"),
    "bench": ("allfocus.cli.bench", "bench_command"),
    "map": ("allfocus.cli.map", "map_command"),
    "import": ("allfocus.cli.import_", "import_command"),
    "export": ("allfocus.cli.export", "export_command"),
    "inspect": ("allfocus.cli.inspect", "inspect_command"),
    "simulate": ("allfocus.cli.simulate", "simulate_command"),
    "prepare": ("allfocus.cli.prepare", "prepare_command"),
    "train": ("allfocus.cli.train", "train_command"),
    "release": ("allfocus.cli.release", "release_command"),
    "eval": ("allfocus.cli.evaluate", "evaluate_command"),
    "tables": ("allfocus.cli.tables", "tables_command"),
    "figure": ("allfocus.cli.figure", "figure_command"),
}
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with its exit code.

    Args:
        arguments: without the program's name; the process's own when None.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--version"]:
        from allfocus import __version__

        print(f"allfocus {__version__}")
        return
    from allfocus.errors import AllfocusError

    try:
        _application(arguments)(args=arguments, prog_name="allfocus")
    except AllfocusError as error:
        print(f"allfocus: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("allfocus: interrupted; finished files are whole, nothing is half-written", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _application(arguments: list[str]):
    import typer

    application = typer.Typer(
        name="allfocus",
        help="A photo that is out of focus in, a photo that is sharp everywhere out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=True,
    )
    application.callback()(_root)  # keeps the command's name even when only one is loaded
    named = [name for name in arguments[:1] if name in COMMANDS]
    for name in named or COMMANDS:
        module, function = COMMANDS[name]
        application.command(name)(getattr(import_module(module), function))
    return application


def _root() -> None:
    """A photo that is out of focus in, a photo that is sharp everywhere out."""
