"""Scratch folders that end with their process: a lock tells the living ones, and the next start removes the others."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PREFIX = "allfocus-scratch-"
"""Of the names of scratch folders among other files, in the system's folder for temporary files."""

_LOCK = "lock"
_TOKEN = re.compile("[0-9a-f]{12}")


class ScratchFolder:
    """A folder for one process, held by a lock that ends with the process, however it ends.

    Args:
        place: the folder that the scratch folders of all processes stand in, made when missing.
        prefix: of its name, where other files stand in `place`. Without one the place is for scratch alone; the last
            process removes it.

    Attributes:
        token: names this process among all that ever worked there.
        path: the folder, on the file system of `place`.
    """

    def __init__(self, place: Path, prefix: str = "") -> None:
        self._place, self._prefix = place, prefix
        self._held: IO[bytes] | None = None
        while self._held is None:  # again where another process came between the folder and its lock
            self.token = secrets.token_hex(6)
            self.path = place / (prefix + self.token)
            place.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self.path.mkdir(mode=0o700 if prefix else 0o777)
                self._held = _hold(self.path / _LOCK, "xb")

    @classmethod
    def temporary(cls) -> Self:
        """A folder in the system's place for temporary files, where dead processes' are removed first."""
        place = Path(tempfile.gettempdir())
        sweep(place, PREFIX)
        return cls(place, PREFIX)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder, and a place for scratch alone if it is empty."""
        if self._held is None:
            return
        _remove(self.path, self._held)
        self._held = None
        if not self._prefix:
            with contextlib.suppress(OSError):
                self._place.rmdir()


def living(place: Path) -> set[str]:
    """The tokens of the processes that have a folder in a place for scratch alone and are still running."""
    return {folder.name for folder in _folders(place, "") if not _is_free(folder / _LOCK)}


def sweep(place: Path, prefix: str = "") -> None:
    """Remove the folders of dead processes; those of other users and of living processes stay."""
    for folder in _folders(place, prefix):
        held = _hold(folder / _LOCK, "rb+")
        if held is not None:
            _remove(folder, held)
        else:
            with contextlib.suppress(OSError):
                folder.rmdir()  # killed before it had a lock; one that holds anything stays


def _folders(place: Path, prefix: str) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
        for entry in entries:
            name = entry.name.removeprefix(prefix)
            if entry.name.startswith(prefix) and _TOKEN.fullmatch(name) and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def _remove(folder: Path, held: IO[bytes]) -> None:
    """The lock goes last: whoever is killed on the way leaves a folder that still has one."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _LOCK:
            with contextlib.suppress(OSError):
                entry.unlink()
    if os.name == "nt":
        held.close()  # an open file cannot be removed there
    shutil.rmtree(folder, ignore_errors=True)
    held.close()


def _is_free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    if not lock.exists():
        return True
    held = _hold(lock, "rb+")
    if held is None:
        return not lock.exists()
    held.close()
    return True


def _hold(lock: Path, mode: str) -> IO[bytes] | None:
    """The lock file, locked for as long as it is open; None if another holds it, has removed it, or it is not ours."""
    try:
        file = lock.open(mode)
    except OSError:
        if mode == "xb" and lock.parent.is_dir():  # a full disk
            lock.parent.rmdir()
            raise
        return None
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
            return file
    except OSError:
        pass
    file.close()
    return None
