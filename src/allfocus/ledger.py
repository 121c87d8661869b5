"""The list of results in a folder, so that they are not taken for input photos."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

NAME = ".allfocus-results"


class Ledger:
    """The file `.allfocus-results` of a folder: the names in it that allfocus wrote, one JSON string a line.

    A name is listed before its file is written, so that a run that is killed leaves no unlisted result. A list that
    cannot be read or written is no reason to stop.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME
        self._names: set[str] | None = None

    def names(self) -> frozenset[str]:
        """File names in the folder that are results; empty if there is no list."""
        return frozenset(self._read())

    def add(self, *names: str) -> None:
        """List names that are about to be written; the folder must exist."""
        known = self._read()
        new = [name for name in names if name not in known]
        with suppress(OSError):
            if new:
                with self._file.open("a", encoding="ascii") as file:
                    file.write("".join(f"{json.dumps(name)}\n" for name in new))
                known.update(new)

    def _read(self) -> set[str]:
        if self._names is None:
            self._names = set()
            with suppress(OSError):
                for line in self._file.read_text(encoding="ascii", errors="replace").splitlines():
                    with suppress(ValueError):  # a line that a kill tore
                        name = json.loads(line)
                        if isinstance(name, str):
                            self._names.add(name)
        return self._names
