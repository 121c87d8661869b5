"""A process that works on an output folder: its scratch folder, and whether it is still running."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import IO

SCRATCH = ".allfocus-scratch"
_LOCK = "lock"


class Owner:
    """A folder of scratch for one process, held by a lock that ends with the process, however it ends.

    Args:
        place: the folder that the scratch folders of all processes stand in, made when missing.

    Attributes:
        token: names this process among all that ever worked there.
        folder: scratch of this process, on the file system of `place`.
    """

    def __init__(self, place: Path) -> None:
        self.token = secrets.token_hex(6)
        self._place = place
        self.folder = place / self.token
        self.folder.mkdir(parents=True)
        self._held: IO[bytes] | None = (self.folder / _LOCK).open("wb")
        if not _lock(self._held):
            raise RuntimeError("a new file is locked")  # cannot happen: nobody knows its name

    def close(self) -> None:
        """Release: remove the scratch of this process, and the common folder if it is empty."""
        if self._held is None:
            return
        self._held.close()
        self._held = None
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._place.rmdir()


def living(place: Path) -> set[str]:
    """The tokens of the processes that are still running."""
    return {folder.name for folder in _folders(place) if not _is_free(folder / _LOCK)}


def sweep(place: Path) -> None:
    """Remove the scratch of dead processes.

    To be called while no process can be starting there: between the making of a folder and its lock, it looks dead.
    """
    for folder in _folders(place):
        if _is_free(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)


def _folders(place: Path) -> list[Path]:
    return [entry for entry in place.iterdir() if entry.is_dir()] if place.is_dir() else []


def _is_free(path: Path) -> bool:
    try:
        with path.open("rb+") as file:
            return _lock(file)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file for as long as it is open; False if another holds it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
