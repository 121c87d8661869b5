"""Which photos show the same moment: by name, by time, or by order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from allfocus.capture.frame import photos, taken_at
from allfocus.errors import DataError, OptionError

WAYS = ("auto", "name", "time", "order")
BURST_S, TOLERANCE_S = 1.0, 2.0
"""Longest pause inside a burst, and longest difference of two clocks."""


@dataclass(frozen=True)
class Exposures:
    """Photos of one scene.

    Attributes:
        name: of the pair.
        sources: the wide-open frames; several where there was a burst.
        targets: the stopped-down frames, of which the sharpest becomes the target; empty where the partner is missing.
    """

    name: str
    sources: tuple[Path, ...] = field(default=())
    targets: tuple[Path, ...] = field(default=())


def pair_up(
    wide: Path,
    narrow: Path,
    way: str = "auto",
    pattern: str | None = None,
    tolerance_s: float = TOLERANCE_S,
    burst_s: float = BURST_S,
) -> list[Exposures]:
    """The shots of two folders, in the order of their sources; photos without partner are shots of one side.

    A folder inside either is one burst or bracket. By name, photos with equal keys belong together: the part that the
    pattern's group matches, else the name without ending. By time, photos of one side less than `burst_s` apart are
    one burst, the clocks of the cameras may differ by a constant, and partners lie within `tolerance_s` of it.

    Args:
        wide, narrow: folders of photos.
        way: "name", "time", "order", or "auto": names where any agree, else times where all are stated, else order
            where the counts agree.
        pattern: a regular expression with one group, for names.
        tolerance_s, burst_s: in seconds.
    Raises:
        DataError: a folder that is missing or empty, photos without time, counts that differ.
        OptionError: an unknown way, a pattern that is none.
    """
    if way not in WAYS:
        raise OptionError(f"--pair {way}", f"one of {', '.join(WAYS)}", "leave it out")
    key = _key(pattern)
    sources, targets = _bursts(wide), _bursts(narrow)
    if way == "auto":
        way = _best_way(sources, targets, key)
    if way == "name":
        return _by_name(sources, targets, key)
    if way == "time":
        return _by_time(sources, targets, tolerance_s, burst_s)
    if len(sources) != len(targets):
        raise DataError(
            f"{len(sources)} photos in {wide} and {len(targets)} in {narrow}",
            "equally many in both, to pair them by order",
            "--pair time, or --pair name --pattern REGEX",
        )
    return [Exposures(one.name, one.files, two.files) for one, two in zip(sources, targets, strict=True)]


@dataclass(frozen=True)
class Burst:
    """Photos of one camera that belong together."""

    name: str
    files: tuple[Path, ...]


def _bursts(folder: Path) -> list[Burst]:
    if not folder.is_dir():
        raise DataError(f"no folder {folder}", "a folder of photos", "check the name")
    found = [Burst(path.stem, (path,)) for path in photos(folder)]
    for inside in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = photos(inside)
        if files:
            found.append(Burst(inside.name, tuple(files)))
    if not found:
        raise DataError(f"no photos in {folder}", "JPEG, TIFF, PNG or camera raw files", "check the name")
    return found


def _key(pattern: str | None) -> Callable[[str], str | None]:
    if pattern is None:
        return lambda name: name
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise OptionError(f"--pattern {pattern} ({error})", "a regular expression", r"--pattern '(\d+)'") from None
    if compiled.groups != 1:
        raise OptionError(f"--pattern {pattern} with {compiled.groups} groups", "one group", r"--pattern '(\d+)'")

    def found(name: str) -> str | None:
        match = compiled.search(name)
        return match.group(1) if match else None

    return found


def _best_way(sources: Sequence[Burst], targets: Sequence[Burst], key: Callable[[str], str | None]) -> str:
    keys = [{key(burst.name) for burst in side} - {None} for side in (sources, targets)]
    if keys[0] & keys[1]:
        return "name"
    if all(taken_at(file) is not None for side in (sources, targets) for burst in side for file in burst.files):
        return "time"
    return "order"


def _by_name(sources: Sequence[Burst], targets: Sequence[Burst], key: Callable[[str], str | None]) -> list[Exposures]:
    sides: list[dict[str, list[Path]]] = []
    for side in (sources, targets):
        grouped: dict[str, list[Path]] = defaultdict(list)
        for burst in side:
            grouped[key(burst.name) or burst.name].extend(burst.files)
        sides.append(grouped)
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    return [Exposures(name, tuple(sides[0].get(name, ())), tuple(sides[1].get(name, ()))) for name in names]


def _by_time(sources: Sequence[Burst], targets: Sequence[Burst], tolerance_s: float, burst_s: float) -> list[Exposures]:
    first, second = _timed(sources, burst_s), _timed(targets, burst_s)
    differences = np.array([[two - one for two, _ in second] for one, _ in first])
    offset = _clock_offset(differences, tolerance_s)
    apart = np.abs(differences - offset)
    partner: dict[int, int] = {}
    for flat in np.argsort(apart, axis=None, kind="stable"):
        one, two = (int(index) for index in np.unravel_index(flat, apart.shape))
        if apart[one, two] <= tolerance_s and one not in partner and two not in partner.values():
            partner[one] = two
    shots = [
        Exposures(burst.name, burst.files, second[partner[index]][1].files if index in partner else ())
        for index, (_, burst) in enumerate(first)
    ]
    lonely = [burst for index, (_, burst) in enumerate(second) if index not in partner.values()]
    return shots + [Exposures(burst.name, (), burst.files) for burst in lonely]


def _timed(bursts: Sequence[Burst], burst_s: float) -> list[tuple[float, Burst]]:
    """Bursts with the time of their first frame, in order of time; single frames that follow closely are joined."""
    found = []
    for burst in bursts:
        times = [taken_at(file) for file in burst.files]
        if any(time is None for time in times):
            missing = burst.files[times.index(None)]
            raise DataError(f"{missing.name} has no capture time", "EXIF DateTimeOriginal", "--pair name, or order")
        found.append((min(time for time in times if time is not None), burst))
    joined: list[tuple[float, Burst]] = []
    last = -np.inf
    for time, burst in sorted(found, key=lambda one: (one[0], one[1].name)):
        if joined and time - last < burst_s:
            start, before = joined[-1]
            joined[-1] = (start, Burst(before.name, before.files + burst.files))
        else:
            joined.append((time, burst))
        last = time
    return joined


def _clock_offset(differences: np.ndarray, tolerance_s: float) -> float:
    """How much later the second clock says it is: the offset that brings the most pairs together, then the smallest."""
    candidates = differences.ravel()
    within = np.abs(differences[None] - candidates[:, None, None]) <= tolerance_s
    counts = within.any(axis=2).sum(axis=1)  # sources that find a partner
    best = candidates[counts == counts.max()]
    middle = float(best[np.argmin(np.abs(best))])
    near = candidates[np.abs(candidates - middle) <= tolerance_s]
    return float(np.median(near))
