"""The traceback of an unexpected error, printed with --debug."""

from __future__ import annotations

import sys
import traceback

OPTION = "--debug"
_wanted = False


def taken_from(arguments: list[str]) -> list[str]:
    """The arguments without --debug, which every command takes; remembers whether it was there."""
    global _wanted
    end = arguments.index("--") if "--" in arguments else len(arguments)
    _wanted = OPTION in arguments[:end]
    return [*(word for word in arguments[:end] if word != OPTION), *arguments[end:]]


def print_trace() -> None:
    """Print the traceback of the error being handled to standard error, if it is wanted."""
    if _wanted:
        traceback.print_exc(file=sys.stderr)
