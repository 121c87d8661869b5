"""The public surface: names of the package, commands and options of the command line."""

from __future__ import annotations

import inspect

import typer

import allfocus
from allfocus.cli.main import COMMANDS


def test_public_names() -> None:
    assert sorted(allfocus.__all__) == ["AllfocusError", "Deblurred", "Deblurrer", "__version__", "deblur"]
    for name in allfocus.__all__:
        assert getattr(allfocus, name) is not None


ONLY_IN_PYTHON = {"source", "views", "progress"}
"""The line calls them INPUT..., --left and --right; it shows progress by itself."""
ONLY_ON_THE_LINE = {"inputs", "left", "right", "method", "json"}
"""Many photos, the views, baselines, and what is printed."""
OF_MANY_PHOTOS = {"cluster", "worker_cpus", "worker_gpus", "dry_run", "retry_failed"}


def test_deblur_has_the_same_options_in_python_and_on_the_command_line() -> None:
    """Every parameter of one is one of the other, with the same default, but for those that are named here."""
    from allfocus.cli.deblur import deblur_command

    python = dict(inspect.signature(allfocus.deblur).parameters)
    line = dict(inspect.signature(deblur_command).parameters)
    assert python.keys() - line.keys() == ONLY_IN_PYTHON
    assert line.keys() - python.keys() == ONLY_ON_THE_LINE | OF_MANY_PHOTOS
    differ = {name for name in python.keys() & line.keys() if python[name].default != line[name].default}
    assert differ == {"map", "compare", "pixel_limit"}, differ  # flags there, paths here; megapixels there
    assert allfocus.deblur.__doc__ is not None
    assert all(f"        {name}: " in allfocus.deblur.__doc__ for name in python), "each is in the docstring"


def test_every_command_loads_and_has_a_help_line() -> None:
    from importlib import import_module

    for name, (module, function) in COMMANDS.items():
        command = getattr(import_module(module), function)
        if isinstance(command, typer.Typer):
            continue  # commands of its own
        assert (command.__doc__ or "").strip().splitlines()[0].endswith("."), name
        for option in inspect.signature(command, eval_str=True).parameters.values():
            if not hasattr(option.annotation, "__metadata__"):
                continue  # typer's context
            told = next(one for one in option.annotation.__metadata__ if hasattr(one, "help"))
            assert told.help and told.help.endswith((".", "]", "...")), (name, option)
