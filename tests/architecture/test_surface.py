"""The public surface: names of the package, commands and options of the command line."""

from __future__ import annotations

import inspect

import allfocus
from allfocus.cli.main import COMMANDS


def test_public_names() -> None:
    assert sorted(allfocus.__all__) == ["AllfocusError", "Deblurred", "Deblurrer", "__version__", "deblur"]
    for name in allfocus.__all__:
        assert getattr(allfocus, name) is not None


def test_deblur_has_the_same_names_in_python_and_on_the_command_line() -> None:
    from allfocus.cli.deblur import deblur_command

    python = set(inspect.signature(allfocus.deblur).parameters)
    line = set(inspect.signature(deblur_command).parameters)
    both = {
        "speed",
        "model",
        "engine",
        "precision",
        "strength",
        "scale",
        "tile",
        "keep_bokeh",
        "map",
        "output",
        "overwrite",
    }
    assert both <= python & line
    assert "views" in python and {"left", "right"} <= line


def test_every_command_loads_and_has_a_help_line() -> None:
    from importlib import import_module

    for module, function in COMMANDS.values():
        assert getattr(import_module(module), function).__doc__
