"""The plan of a run from the command line: the photos, and every file written for each."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from allfocus.deblurrer import beside, written_suffix
from allfocus.defocus.files import picture_beside
from allfocus.errors import AllfocusError, InputError, OptionError
from allfocus.ledger import Ledger
from allfocus.photo.formats import PHOTO_EXTENSIONS, USUAL
from allfocus.targets import clashes, identity

OTHER_PICTURES = tuple(".bmp .exr .gif .hdr .jp2 .jxl .pbm .pdf .pgm .ppm .psd .svg .tga".split())  # noqa: SIM905
MADE_HERE = (".sharp", ".compare", ".map", ".inspect")


@dataclass(frozen=True)
class PhotoJob:
    """One photo to restore and every file to write for it.

    Attributes:
        source: the photo.
        target: the sharp photo.
        numbers: the defocus map, a .tiff whose coloured picture goes beside it; None if none is wanted.
        comparison: the before/after picture; None if none is wanted.
    """

    source: Path
    target: Path
    numbers: Path | None = None
    comparison: Path | None = None

    @property
    def writes(self) -> tuple[Path, ...]:
        """Every file that is written for the photo."""
        maps = () if self.numbers is None else (self.numbers, picture_beside(self.numbers))
        return (self.target, *maps, *(() if self.comparison is None else (self.comparison,)))

    def is_done(self) -> bool:
        """Whether the result of this photo exists. A journal may have more information."""
        return os.path.lexists(self.target)


@dataclass(frozen=True)
class Refused:
    """Something that was named or found and cannot be restored."""

    source: Path
    error: AllfocusError


@dataclass(frozen=True)
class Plan:
    """What a run does, decided before the first file is written.

    Attributes:
        jobs: photos whose targets are free of each other and of every photo of the run.
        refused: what was named or found and cannot be restored, and why.
        passed_over: what was left alone on purpose, one sentence each.
        folder: the output folder; None where results go beside the photos or into one file.
        named: the user named one photo, and nothing else.
    """

    jobs: tuple[PhotoJob, ...]
    refused: tuple[Refused, ...] = ()
    passed_over: tuple[str, ...] = ()
    folder: Path | None = None
    named: bool = False


@dataclass(frozen=True)
class _Found:
    """A photo, its place below an output folder, and whether a folder was searched for it."""

    source: Path
    place: Path
    searched: bool = False


class _Search:
    """Photos, and what else was met on the way to them."""

    def __init__(self) -> None:
        self.found: dict[Path, _Found] = {}
        self.refused: list[Refused] = []
        self.results: list[Path] = []
        self.hidden: list[Path] = []
        self.unread: list[Path] = []

    def take(self, text: str) -> None:
        """One argument: a photo, a folder or a glob."""
        path = Path(text)
        try:
            if not text:
                raise InputError("an empty name", "a photo, a folder or a glob", "a dot (.) for this folder")
            if path.is_dir():
                self._take_folder(path)
            elif os.path.lexists(path):
                self._add(_Found(path, Path(path.name)))
            else:
                self._take_glob(text)
        except AllfocusError as error:
            self.refused.append(Refused(path, error))
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            shown = text if len(text) <= 200 else f"{text[:200]}..."
            refusal = InputError(f"{shown} cannot be read ({cause})", "a photo, a folder or a glob", "another name")
            self.refused.append(Refused(Path(shown), refusal))

    def _take_folder(self, root: Path) -> None:
        before, met = len(self.refused), len(self.results)
        inside = sorted(self._walk(root), key=lambda found: found.source)
        for found in inside:
            self._add(found)
        if inside or len(self.refused) > before:
            return
        if len(self.results) > met:
            raise InputError(f"{root} holds only results of allfocus", "other photos", "name one to deblur it again")
        raise InputError(f"no photo in the folder {root}", f"files ending in {USUAL}", "another folder")

    def _walk(self, root: Path) -> Iterator[_Found]:
        for name, folders, files in os.walk(root, onerror=self._closed):
            folder = Path(name)
            self.hidden += [folder / inner for inner in folders if inner.startswith(".")]
            folders[:] = [inner for inner in folders if not inner.startswith(".")]
            listed = Ledger(folder).names()
            for file in files:
                path = folder / file
                if file.startswith("."):
                    continue
                if path.suffix.lower() not in PHOTO_EXTENSIONS:
                    self.unread += [path] if path.suffix.lower() in OTHER_PICTURES else []
                elif file in listed or _is_result(path):
                    self.results.append(path)
                elif path.is_file():
                    yield _Found(path, path.relative_to(root), searched=True)

    def _closed(self, error: OSError) -> None:
        place = Path(os.fsdecode(error.filename or "?"))
        refusal = InputError(
            f"the folder {place} cannot be read ({error.strerror})", "a readable folder", "check its permissions"
        )
        self.refused.append(Refused(place, refusal))

    def _take_glob(self, text: str) -> None:
        places = glob.glob(text, recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
        matches = [Path(place) for place in sorted(places) if Path(place).is_file()]
        if not matches:
            raise InputError(f"{text} does not exist", "a photo, a folder or a glob", "check the spelling")
        for file in matches:
            self._add(_Found(file, Path(file.name)))

    def _add(self, found: _Found) -> None:
        self.found.setdefault(Path.cwd() / found.source, found)


def collect(inputs: Sequence[str], output: str | Path | None, *, map: bool = False, compare: bool = False) -> Plan:
    """Turn files, folders and globs into a plan, in a stable order, each photo once.

    Folders are searched to the bottom; hidden folders, files that are not photos, and results of earlier runs
    (NAME.sharp.EXT and the like, and what a `Ledger` lists) are passed over there. With an output folder the tree
    keeps its shape. A photo that cannot have its targets is refused; the others stay.

    Args:
        inputs: as given.
        output: a file (for a single photo), a folder, or None for NAME.sharp.EXT beside each photo. A name with a
            slash at its end is a folder.
        map: whether the defocus map is wanted.
        compare: whether a before/after picture is wanted.

    Raises:
        InputError: nothing can be restored, and there is one reason for it.
        OptionError: one output file for several photos, or an output that is neither a photo nor a folder.
    """
    search = _Search()
    for text in inputs:
        search.take(text)
    found = list(search.found.values())
    if not found and len(search.refused) == 1:
        raise search.refused[0].error
    named = len(inputs) == 1 and len(found) == 1 and not found[0].searched and Path(inputs[0]) == found[0].source
    folder = _output_folder(output, named, len(found))
    jobs = _jobs(found, output, folder, map=map, compare=compare)
    jobs, again = _without_results(jobs, {one.source for one in found if not one.searched})
    problems = clashes([(job.source, job.writes) for job in jobs])
    refused = [Refused(jobs[index].source, error) for index, error in sorted(problems.items())]
    if named and refused:
        raise refused[0].error
    return Plan(
        jobs=tuple(job for index, job in enumerate(jobs) if index not in problems),
        refused=(*search.refused, *refused),
        passed_over=tuple(_passed_over(search.results + again, search.hidden, search.unread)),
        folder=folder,
        named=named,
    )


def _output_folder(output: str | Path | None, named: bool, count: int) -> Path | None:
    """The folder that results go into; None where they go beside the photos or into one file."""
    if output is None:
        return None
    text = os.fspath(output)
    path = Path(text)
    if not text:
        raise OptionError("an empty name for -o", "a file or a folder", "-o sharp/")
    if text.endswith(("/", os.sep)) or path.is_dir():
        return path
    ending = path.suffix.lower()
    if ending in PHOTO_EXTENSIONS:
        if count > 1 or not named:
            raise OptionError(f"{count} photos for the one file {path}", "a folder", f"-o {path.with_suffix('')}")
        return None
    looks_like_file = ending in OTHER_PICTURES or (named and 1 < len(ending) <= 5 and not ending[1:].isdecimal())
    if looks_like_file:
        raise OptionError(f"-o {path}, a format that cannot be written", f"{USUAL}, or a folder", f"-o {path}/")
    return path


def _jobs(
    found: list[_Found], output: str | Path | None, folder: Path | None, *, map: bool, compare: bool
) -> list[PhotoJob]:
    names = _Names()
    stems: list[str] = []
    jobs: list[PhotoJob] = []
    for one in found:
        stem, name = names.of(one.source)
        if folder is not None:
            target = folder / one.place.with_name(name)
        else:
            target = beside(one.source.with_name(name)) if output is None else Path(output)
        jobs.append(PhotoJob(one.source, target))
        stems.append(stem)
    shared = Counter((job.target.parent, stem.casefold()) for job, stem in zip(jobs, stems, strict=True))
    finished = []
    for job, stem in zip(jobs, stems, strict=True):
        own = stem if shared[job.target.parent, stem.casefold()] == 1 else job.source.name
        numbers = job.target.with_name(f"{own}.map.tiff") if map else None
        comparison = job.target.with_name(f"{own}.compare.jpg") if compare else None
        finished.append(replace(job, numbers=numbers, comparison=comparison))
    return finished


class _Names:
    """Names for what is made of a photo that do not meet those of the photos beside it."""

    def __init__(self) -> None:
        self._beside: dict[Path, tuple[Counter[str], Counter[str]]] = {}

    def of(self, source: Path) -> tuple[str, str]:
        """The stem for maps and pictures, and the name of the result in a folder of its own.

        Both are those of the photo; with its ending kept where another photo beside it has the same without
        (one.jpg and one.png give one.jpg.map.tiff and one.png.map.tiff; a.heic beside a.jpg gives a.heic.jpg).
        """
        stems, results = self._of_folder(source.parent)
        stem = source.stem if stems[source.stem.casefold()] <= 1 else source.name
        written = _result_name(source)
        alone = written == source.name or results[written.casefold()] <= 1
        return stem, written if alone else f"{source.name}{written_suffix(source)}"

    def _of_folder(self, folder: Path) -> tuple[Counter[str], Counter[str]]:
        if folder not in self._beside:
            try:
                photos = [path for path in folder.iterdir() if _may_be_photo(path)]
            except OSError:
                photos = []
            stems = Counter(path.stem.casefold() for path in photos)
            self._beside[folder] = stems, Counter(_result_name(path).casefold() for path in photos)
        return self._beside[folder]


def _result_name(source: Path) -> str:
    suffix = written_suffix(source)
    return source.name if suffix == source.suffix else f"{source.stem}{suffix}"


def _without_results(jobs: list[PhotoJob], named: set[Path]) -> tuple[list[PhotoJob], list[Path]]:
    """The jobs less the photos that are results of others among them, as `*.jpg` names them in a second run."""
    made = {identity(path): job for job in jobs for path in job.writes}
    results = []
    for job in jobs:
        origin = made.get(identity(job.source))
        if origin is None or origin is job or job.source not in named:
            continue
        if _is_result(job.source) or job.source.name in Ledger(job.source.parent).names():
            results.append(job.source)
    return [job for job in jobs if job.source not in results], results


def _may_be_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_EXTENSIONS and not path.name.startswith(".") and not _is_result(path)


def _is_result(path: Path) -> bool:
    return Path(path.stem).suffix in MADE_HERE


def _passed_over(results: list[Path], hidden: list[Path], unread: list[Path]) -> Iterator[str]:
    if results:
        number = f"{len(results)} {'result' if len(results) == 1 else 'results'}"
        yield f"passed over {number} of allfocus, such as {results[0]}"
    if hidden:
        yield f"passed over {len(hidden)} hidden folders, such as {hidden[0]}; name one to restore what is in it"
    if unread:
        number = f"{len(unread)} {'picture' if len(unread) == 1 else 'pictures'}"
        yield f"passed over {number} of a format that is not read, such as {unread[0]}"
