"""The entry point: loads only the command that is called, and turns errors into one line and exit code 2."""

from __future__ import annotations

import io
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allfocus.errors import AllfocusError

COMMANDS = {
    "deblur": ("allfocus.cli.deblur", "deblur_command"),
    "status": ("allfocus.cli.status", "status_command"),
    "watch": ("allfocus.cli.watch", "watch_command"),
    "models": ("allfocus.cli.models", "models_command"),
    "doctor": ("allfocus.cli.doctor", "doctor_command"),
    "bench": ("allfocus.cli.bench", "bench_command"),
    "site": ("allfocus.cli.site", "site_command"),
    "serve": ("allfocus.cli.serve", "serve_command"),
    "map": ("allfocus.cli.map", "map_command"),
    "import": ("allfocus.cli.import_", "import_command"),
    "export": ("allfocus.cli.export", "export_command"),
    "inspect": ("allfocus.cli.inspect", "inspect_command"),
    "simulate": ("allfocus.cli.simulate", "simulate_command"),
    "prepare": ("allfocus.cli.prepare", "prepare_command"),
    "train": ("allfocus.cli.train", "train_command"),
    "quantise": ("allfocus.cli.quantise", "quantise_command"),
    "release": ("allfocus.cli.release", "release_command"),
    "eval": ("allfocus.cli.evaluate", "evaluate_command"),
    "tables": ("allfocus.cli.tables", "tables_command"),
    "figure": ("allfocus.cli.figure", "figure_command"),
    "capture": ("allfocus.cli.capture", "capture_app"),
}
EXTRAS: dict[str, str] = {**dict.fromkeys(("deblur", "map", "eval", "tables", "figure"), "eval"), "capture": "capture"}
"""The extra with what a command imports beyond the core; "train" where none is named."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (the process's own without `arguments`); ends the process with its exit code."""
    alone = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--version"]:
        from allfocus import __version__

        print(f"allfocus {__version__}")
        return
    from allfocus.cli.debug import print_trace, taken_from
    from allfocus.cli.stopping import Stopped, stoppable
    from allfocus.errors import AllfocusError, UnexpectedError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot show are no reason to stop
    arguments = taken_from(arguments)
    try:
        with stoppable():
            _run(arguments)
            _flush()
        if alone and arguments[:1] == ["deblur"] and _holds_nothing():
            _leave(0)  # taking the engine apart takes as long as reading a small photo
    except AllfocusError as error:
        raise _ended(error) from None
    except Stopped as stop:
        print(f"allfocus: stopped by {stop.name}; finished files are complete, none is half-written", file=sys.stderr)
        if alone and threading.active_count() > 1:  # those in the middle of an inference would abort the process
            _leave(stop.exit_code)
        raise SystemExit(stop.exit_code) from None
    except Exception as error:
        print_trace()
        raise _ended(UnexpectedError(error)) from None
    raise SystemExit(0)


def _run(arguments: list[str]) -> None:
    try:
        _application(arguments)(args=arguments, prog_name="allfocus")
    except SystemExit as end:
        if end.code:
            _bring_out()
            raise
    except ModuleNotFoundError as error:
        from allfocus.errors import MissingExtraError

        missing = (error.name or "").partition(".")[0]
        if missing in ("", "allfocus"):
            raise
        command = arguments[0]
        raise MissingExtraError(f"allfocus {command}", EXTRAS.get(command, "train"), missing) from error
    except BrokenPipeError:
        _drop_output()
        raise SystemExit(1) from None


def _ended(error: AllfocusError) -> SystemExit:
    _bring_out()
    with suppress(OSError, ValueError):
        print(f"allfocus: {error}", file=sys.stderr)
    return SystemExit(error.exit_code)


def _holds_nothing() -> bool:
    """Whether no thread and no process of this one is left, and no cluster."""
    processes = sys.modules.get("multiprocessing")
    children = processes.active_children() if processes is not None else []
    return threading.active_count() == 1 and not children and "ray" not in sys.modules


def _leave(code: int) -> None:
    """End the process at once; every file has been closed or removed by the exception that came here."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _flush() -> None:
    """Bring out what was printed; a place that is full is said once, not by the interpreter at its end."""
    error = _bring_out()
    if error is not None:
        print(f"allfocus: standard output could not be written ({error})", file=sys.stderr)
        raise SystemExit(2)


def _bring_out() -> Exception | None:
    """Why what was printed cannot be written, or None; it is dropped then, else the interpreter would end with 120."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        _drop_output()
        return error
    return None


def _drop_output() -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _application(arguments: list[str]):
    import typer

    def root(
        version: bool = typer.Option(False, "--version", help="Print the version."),
        debug: bool = typer.Option(False, "--debug", help="Print the traceback of an unexpected error."),
    ) -> None:
        """Deblur photos that are out of focus, on any CPU, offline."""

    application = typer.Typer(
        name="allfocus",
        help="Deblur photos that are out of focus, on any CPU, offline.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=True,
    )
    application.callback()(root)  # keeps the command's name even when only one is loaded
    named = [name for name in arguments[:1] if name in COMMANDS]
    for name in named or COMMANDS:
        module, function = COMMANDS[name]
        command = getattr(import_module(module), function)
        if isinstance(command, typer.Typer):
            application.add_typer(command, name=name)
        else:
            application.command(name)(command)
    return application
