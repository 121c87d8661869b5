"""The expected folder layout of each data set, and the error when it differs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from allfocus.errors import DataError
from allfocus.photo.formats import WRITABLE_EXTENSIONS

SEARCH_DEPTH = 3
SEARCH_FOLDERS = 500


@dataclass(frozen=True)
class Layout:
    """The shape of a public data set on disk.

    Attributes:
        folders: paths below the root that must hold photos; "" is the root itself.
        tree: the whole shape, drawn as a small tree.
        wrappers: folder names that archives unpack into; a root that holds one of them is as good as it.
    """

    title: str
    folders: tuple[str, ...]
    tree: str
    wrappers: tuple[str, ...] = ()


def photos(folder: Path) -> list[Path]:
    """All photos below `folder`, by folder and then by name; hidden files and other files are passed over."""
    return sorted(_walk(folder), key=lambda path: (path.parent.as_posix(), path.name))


def _walk(folder: Path, most_folders: int | None = None) -> Iterator[Path]:
    for visited, (place, below, files) in enumerate(os.walk(folder)):
        if visited == most_folders:
            return
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in files:
            if Path(name).suffix.lower() in WRITABLE_EXTENSIONS and not name.startswith("."):
                yield Path(place, name)


def locate(root: Path, layout: Layout) -> Path:
    """The folder under which every folder of `layout` holds photos: `root`, or a wrapper inside it.

    Raises:
        DataError: with the expected tree and the nearest thing that was found.
    """
    root = Path(root)
    for base in (root, *(root / wrapper for wrapper in layout.wrappers)):
        if _fits(base, layout):
            return base
    raise DataError(_got(root, layout), f"the layout of {layout.title}:\n{layout.tree}\n", _hint(root, layout))


def _fits(base: Path, layout: Layout) -> bool:
    return all(_has_photo(base / folder) for folder in layout.folders)


def _has_photo(folder: Path) -> bool:
    return next(_walk(folder, SEARCH_FOLDERS), None) is not None


def _got(root: Path, layout: Layout) -> str:
    if not root.exists():
        return f"{root} does not exist"
    if not root.is_dir():
        return f"{root} is a file"
    missing = [f"{folder or root.name}/" for folder in layout.folders if not _has_photo(root / folder)]
    inside = sorted(path.name + ("/" if path.is_dir() else "") for path in root.iterdir() if path.name[0] != ".")
    shown = ", ".join(inside[:6]) + (f" and {len(inside) - 6} more" if len(inside) > 6 else "")
    return f"{root} has no photos in {' and '.join(missing)} (it holds {shown or 'nothing'})"


def _hint(root: Path, layout: Layout) -> str:
    for base in _neighbourhood(root):
        if _fits(base, layout):
            return f"--root {base}, which has it"
    best, most = None, 0
    for base in _neighbourhood(root):
        present = [folder for folder in layout.folders if folder and _has_photo(base / folder)]
        if len(present) > most:
            best, most = f"{base}, which has {', '.join(present)} but not the rest", len(present)
    if best:
        return f"completing {best}"
    for base in _neighbourhood(root):
        count = len([path for path in base.iterdir() if path.suffix.lower() in WRITABLE_EXTENSIONS])
        if count:
            return f"--data pairs if that fits; the nearest thing found is {base} with {count} photos"
    return "another --root; no photo was found near this one"


def _neighbourhood(root: Path) -> Iterator[Path]:
    """The root, what is below it, and the two folders above it, nearest first, not more than a few hundred."""
    start = root
    while not start.is_dir() and start != start.parent:
        start = start.parent
    level, seen = [start], 0
    for _ in range(SEARCH_DEPTH):
        below: list[Path] = []
        for folder in level:
            yield folder
            seen += 1
            if seen >= SEARCH_FOLDERS:
                return
            below += sorted(path for path in _listing(folder) if path.is_dir() and not path.name.startswith("."))
        level = below
    if start == root:
        yield from list(start.resolve().parents)[:2]


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
