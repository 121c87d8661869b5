"""What a user named on the command line, as a list of jobs: which photo, and where its result goes."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allfocus.deblurrer import beside, written_suffix
from allfocus.errors import InputError, OptionError
from allfocus.photo.formats import FORMATS, RAW_EXTENSIONS

SUFFIXES = {ending for format in FORMATS.values() for ending in format.extensions} | {".heic", ".heif"} | RAW_EXTENSIONS
MADE_HERE = (".sharp", ".compare", ".map", ".inspect")
USUAL = ".jpg, .png, .tif, .webp or .avif"


@dataclass(frozen=True)
class Job:
    """One photo to restore and the file to write."""

    source: Path
    target: Path


def collect(inputs: Sequence[str], output: Path | None) -> list[Job]:
    """Turn files, folders and globs into jobs, in a stable order, each photo once.

    Folders are walked to the bottom; files that are not photos, and what earlier runs made of them (NAME.sharp.EXT
    and the like, see `MADE_HERE`), are passed over there. With an output folder the tree keeps its shape.

    Args:
        inputs: as given.
        output: a file (for a single photo), a folder, or None for NAME.sharp.EXT beside each photo.

    Raises:
        InputError: something that does not exist, or a folder without photos.
        OptionError: one output file for several photos, or two photos with one target.
    """
    found: dict[Path, Path] = {}  # photo -> its place below the output folder
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if _is_photo(file)]
            if not inside:
                raise InputError(f"no photo in the folder {path}", f"files ending in {USUAL}", "another folder")
            for file in inside:
                found.setdefault(file, file.relative_to(path))
        elif path.exists():
            found.setdefault(path, Path(path.name))
        else:
            places = glob.glob(text, recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
            matches = [Path(place) for place in sorted(places) if Path(place).is_file()]
            if not matches:
                raise InputError(f"{text} does not exist", "a photo, a folder or a glob", "check the spelling")
            for file in matches:
                found.setdefault(file, Path(file.name))
    jobs = [Job(source, _target(source, place, output, len(found))) for source, place in found.items()]
    targets = [job.target for job in jobs]
    twice = next((target for target, count in Counter(targets).items() if count > 1), None)
    if twice is not None:
        raise OptionError(f"two photos for {twice}", "one target a photo", "restore the folders one by one")
    return jobs


def _target(source: Path, place: Path, output: Path | None, count: int) -> Path:
    if output is None:
        return beside(source)
    looks_like_file = output.suffix.lower() in SUFFIXES and not output.is_dir()
    if not looks_like_file:
        return output / place.with_suffix(written_suffix(source))
    if count > 1:
        raise OptionError(f"{count} photos for the one file {output}", "a folder", f"-o {output.with_suffix('')}")
    return output


def _is_photo(path: Path) -> bool:
    made_here = Path(path.stem).suffix in MADE_HERE
    return path.suffix.lower() in SUFFIXES and not made_here and not path.name.startswith(".") and path.is_file()
