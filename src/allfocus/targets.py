"""Targets of a run: no two are the same file, and none is a file that the run reads.

Files are compared by identity, not by name: a link of any kind to a photo means the photo.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from allfocus.errors import OutputError

Identity = tuple[object, ...]


def identity(path: str | Path) -> Identity:
    """An identity of the file at a path; equal for two paths to one file.

    An existing file is its device and inode. A file that is yet to be made is the nearest folder that exists above it
    and the names below, with links followed, Unicode composed, and case ignored where that folder ignores it.
    """
    try:
        found = Path(path).stat()
        return found.st_dev, found.st_ino
    except (OSError, ValueError):
        pass
    try:
        folder = Path(os.path.realpath(path))
    except (OSError, ValueError):
        return ("no path", str(path))
    names: list[str] = []
    while True:
        try:
            found = folder.stat()
            break
        except (OSError, ValueError):
            if folder == folder.parent:
                return ("no path", str(path))
            names.append(folder.name)
            folder = folder.parent
    ignores_case = _ignores_case(folder)
    composed = [unicodedata.normalize("NFC", name) for name in reversed(names)]
    return found.st_dev, found.st_ino, *(name.casefold() if ignores_case else name for name in composed)


def check(writes: Iterable[Path], reads: Iterable[Path]) -> None:
    """OutputError if two of the files to write are the same, or one of them is read; nothing has been touched then."""
    Claims(reads).take(writes)


def check_unread(writes: Iterable[Path], reads: Iterable[Path]) -> None:
    """`check`, but two of the files to write may be the same."""
    sources = {identity(path): path for path in reads}
    for path in writes:
        key = identity(path)
        if key in sources:
            raise _is_read(path, sources[key])


def check_apart(folder: Path, searched: Path) -> None:
    """OutputError for an output folder that is, or lies in, the folder that is searched for photos."""
    key = identity(searched)
    if any(identity(place) == key for place in (folder, *Path(os.path.realpath(folder)).parents)):
        raise OutputError(
            f"the output folder {folder} lies in {searched}, which is searched for photos",
            "a folder outside of it",
            "another -o",
        )


class Claims:
    """The files that a run reads, none of which is ever a target, and those that it writes, in order."""

    def __init__(self, reads: Iterable[Path]) -> None:
        self._reads = {identity(path): path for path in reads}
        self._taken: dict[Identity, Path] = {}

    def take(self, writes: Iterable[Path]) -> None:
        """Reserve targets, all or none. OutputError: one is a file that is read, or was taken before."""
        new: dict[Identity, Path] = {}
        for path in writes:
            key = identity(path)
            if key in self._reads:
                raise _is_read(path, self._reads[key])
            before = new.get(key) or self._taken.get(key)
            if before is not None:
                raise OutputError(f"{path} and {before} are the same file", "one file for each result", "other names")
            new[key] = path
        self._taken |= new

    def add_written(self, writes: Iterable[Path]) -> None:
        """Know files that have been written by what they are now; a disk that ignores case shows only then."""
        self._taken |= {identity(path): path for path in writes}


def clashes(wanted: Sequence[tuple[Path, Sequence[Path]]]) -> dict[int, OutputError]:
    """Which photos of a run cannot have the targets that they were given, decided before the first is written.

    Args:
        wanted: for each photo its source, and every file that would be written for it.

    Returns:
        The refusal for each photo, by its place in `wanted`; the others neither meet an input nor each other.
    """
    reads = {identity(source): source for source, _ in wanted}
    refused: dict[int, OutputError] = {}
    owners: dict[Identity, tuple[int, Path]] = {}
    for index, (source, writes) in enumerate(wanted):
        for path in writes:
            key = identity(path)
            if key in reads:
                refused[index] = _is_read(path, reads[key])
            elif key not in owners:
                owners[key] = index, path
            elif owners[key][0] == index:
                refused[index] = OutputError(
                    f"{path} and {owners[key][1]} are the same file", "one file for each result", "other names"
                )
            else:
                first = owners[key][0]
                error = OutputError(
                    f"two photos for {path}: {wanted[first][0]} and {source}",
                    "one target per photo",
                    "separate runs, each with its own -o",
                )
                refused.setdefault(first, error)
                refused[index] = error
    return refused


def _is_read(path: Path, source: Path) -> OutputError:
    what = "the input itself" if path == source else f"the same file as the input {source}"
    return OutputError(
        f"{path} is {what}",
        "a target that is not an input; originals are never replaced, even with --overwrite",
        "another -o",
    )


@lru_cache(maxsize=1024)
def _ignores_case(folder: Path) -> bool:
    """Whether names in a folder that exists are the same in capitals; the platform's habit if unknown."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                swapped = entry.name.swapcase()
                if swapped != entry.name:
                    other = folder / swapped
                    return other.exists() and other.samefile(entry.path)
    except (OSError, ValueError):
        pass
    return sys.platform in ("win32", "darwin")
