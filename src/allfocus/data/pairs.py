"""Pairs of photos: a defocused one, its sharp counterpart where there is one, and its dual-pixel views where known."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pyvips
from numpy.typing import NDArray

from allfocus.errors import AllfocusError, DataError, OptionError
from allfocus.photo.codecs import decode
from allfocus.photo.tiling import Box

NAME_SUFFIX = re.compile(r"[_-](l|r|c|left|right|centre|center|ap\d+)$", re.IGNORECASE)
GROUPS_FILE = "groups.csv"
TAIL_BYTES = 4096
PEAK = {8: 255, 16: 65535}


@dataclass(frozen=True)
class Pair:
    """One scene.

    Attributes:
        name: unique in its set; the source's file name without its ending.
        source: the defocused photo.
        target: the sharp photo, or None.
        left, right: the dual-pixel views, or None.
        quarter_turns: how often the photo is turned 90 degrees counter-clockwise before a network sees it.
        groups: subsets that the scene belongs to ("indoor").
        coc: an npz file with the true circle of confusion (see `read_coc`), or None.
    """

    name: str
    source: Path
    target: Path | None = None
    left: Path | None = None
    right: Path | None = None
    quarter_turns: int = 0
    groups: tuple[str, ...] = ()
    coc: Path | None = None


@dataclass(frozen=True)
class PairImages:
    """The pictures of a pair that has a sharp counterpart: float32 (H, W, 3) in [0, 1].

    Attributes:
        source, target: the defocused photo and the sharp one.
        left, right: the dual-pixel views, or None.
        coc_px: (H, W) float32 signed blur radius, NaN where unknown, or None.
        groups: subsets that the scene belongs to.
    """

    source: NDArray[np.float32]
    target: NDArray[np.float32]
    left: NDArray[np.float32] | None = None
    right: NDArray[np.float32] | None = None
    coc_px: NDArray[np.float32] | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairSet:
    """A data set, checked: files exist, sizes agree, names do not contradict each other.

    Attributes:
        name: "dpdd-test".
        root: the folder it was read from.
        pairs: its scenes in order.
        bits: bits per channel of the files, 8 or 16.
        read_bits: bits per channel that `read` gives, 8 for 16-bit files that are rounded on the way in.
        edition: which one, of a set whose scenes have changed; scores of different ones do not belong together.
    """

    name: str
    root: Path
    pairs: tuple[Pair, ...]
    bits: int
    read_bits: int
    edition: str = ""

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    @property
    def depth(self) -> str:
        """The bit depth as a protocol states it: "8", "16", or "16-rounded-to-8"."""
        return str(self.bits) if self.bits == self.read_bits else f"{self.bits}-rounded-to-{self.read_bits}"

    def first(self, count: int) -> PairSet:
        """The first `count` scenes."""
        return replace(self, pairs=self.pairs[:count])

    def every(self, step: int) -> PairSet:
        """Every `step`-th scene, from the first: a part that is spread over the whole set."""
        return replace(self, pairs=self.pairs[::step])

    def only(self, group: str) -> PairSet:
        """The scenes of one group. DataError: no scene belongs to it."""
        chosen = tuple(pair for pair in self.pairs if group in pair.groups)
        if not chosen:
            known = sorted({name for pair in self.pairs for name in pair.groups})
            raise DataError(
                f"no scene of {self.name} in group {group!r}",
                f"one of {', '.join(known)}" if known else f"a {GROUPS_FILE} with columns name,group in {self.root}",
                "leave --subset out",
            )
        return replace(self, name=f"{self.name}-{group}", pairs=chosen)

    def read(self, path: Path) -> NDArray[np.float32]:
        """One photo of the set as float32 (H, W, 3) in [0, 1]."""
        return read(path, self.read_bits)

    def images(self, pair: Pair) -> PairImages:
        """Every picture of a scene of the set that has a target."""
        assert pair.target is not None
        source = self.read(pair.source)
        left, right = (None if path is None else self.read(path) for path in (pair.left, pair.right))
        coc_px = None if pair.coc is None else read_coc(pair.coc, *source.shape[:2])
        return PairImages(source, self.read(pair.target), left, right, coc_px, pair.groups)


def read(path: Path, bits: int | None = None) -> NDArray[np.float32]:
    """A photo as display-referred RGB, float32 (H, W, 3) in [0, 1]; 8 bits round 16-bit codes first, grey is repeated.

    DataError: the file is missing, damaged or no photo.
    """
    try:
        photo = decode(path)
        codes = photo.read(Box(0, 0, photo.width, photo.height))  # (H, W, 1 | 3)
    except AllfocusError as error:
        raise DataError(error.got, error.expected, error.hint) from error
    unit = codes.astype(np.float64) / photo.peak
    if bits in PEAK and photo.depth > bits:
        unit = np.round(unit * PEAK[bits]) / PEAK[bits]
    return np.repeat(unit, 3 // unit.shape[2], axis=2).astype(np.float32)


def read_coc(path: Path, height: int, width: int) -> NDArray[np.float32]:
    """The signed blur radius of a scene in px, (height, width); NaN where no single radius describes the blur.

    The npz file has `coc` (H, W) and, if known, `valid` (H, W). DataError: it is damaged, or of another size.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            coc_px = stored["coc"].astype(np.float32)
            valid = stored["valid"] if "valid" in stored.files else np.ones(coc_px.shape, bool)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read ({error})", "an npz file with `coc`", "make the set again") from error
    if coc_px.shape != (height, width) or valid.shape != coc_px.shape:
        raise DataError(f"{path} has shape {coc_px.shape}", f"({height}, {width}) as its photo", "make the set again")
    return np.where(valid, coc_px, np.float32(np.nan))


@dataclass(frozen=True)
class PairHeader:
    """What a photo's header says: upright size in px, and bits per channel."""

    width: int
    height: int
    bits: int


def header(path: Path) -> PairHeader:
    """The header of a photo, and whether the file seems to be whole (cheap: no pixel is decoded).

    Raises:
        DataError: not a photo, or cut off.
    """
    try:
        image = pyvips.Image.new_from_file(str(path), access="sequential").autorot()  # type: ignore[attr-defined]
    except pyvips.Error as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "unknown format"
        raise DataError(f"{path} cannot be read ({reason})", "a photo", "download this file again") from error
    if _cut_off(path):
        raise DataError(f"{path} ends too early", "a whole file", "download this file again")
    return PairHeader(image.width, image.height, 16 if image.format == "ushort" else 8)


def _cut_off(path: Path) -> bool:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read()
    if start.startswith(b"\x89PNG"):
        return b"IEND" not in tail
    if start.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in tail
    return False


def assemble(
    name: str,
    root: Path,
    sources: Sequence[Path],
    targets: Sequence[Path] | None = None,
    views: tuple[Sequence[Path], Sequence[Path]] | None = None,
    *,
    bits: int | None = None,
    quarter_turns: int = 0,
) -> PairSet:
    """Pair files by their position in the sorted lists, after checking everything that can be checked cheaply.

    Args:
        name: the set's name.
        root: its folder; `groups.csv` (columns name,group) in it gives the groups.
        sources, targets, views: sorted lists; views are (left, right).
        bits: 8 to round 16-bit files to 8 bits when they are read; None keeps what the files have.
        quarter_turns: see `Pair`.
    Raises:
        DataError: nothing there; counts that differ; names that pair differently than positions do; sizes or bit
            depths that differ; unreadable files. OptionError: bits that the files do not have.
    """
    if not sources:
        raise DataError(f"no photos in {root}", "at least one", "another --root")
    left, right = views if views is not None else (None, None)
    for other, role in ((targets, "target"), (left, "left view"), (right, "right view")):
        if other is not None:
            _check_names(sources, other, role)
    headers = {path: header(path) for paths in (sources, targets, left, right) for path in paths or ()}
    groups = read_groups(root)
    pairs = []
    for index, source in enumerate(sources):
        pair = Pair(
            name=pair_name(source, sources),
            source=source,
            target=targets[index] if targets is not None else None,
            left=left[index] if left is not None else None,
            right=right[index] if right is not None else None,
            quarter_turns=quarter_turns,
            groups=groups.get(source.stem, ()),
        )
        _check_sizes(pair, headers)
        pairs.append(pair)
    depth = _one_depth(name, headers)
    return PairSet(name, Path(root), tuple(pairs), depth, _read_depth(depth, bits))


def pair_name(source: Path, sources: Sequence[Path]) -> str:
    """The file's stem; with its folder in front where two files of the set share the stem."""
    twins = sum(other.stem == source.stem for other in sources)
    return source.stem if twins == 1 else f"{source.parent.name}_{source.stem}"


def read_groups(root: Path) -> dict[str, tuple[str, ...]]:
    """Stem -> groups from `groups.csv` in `root`; empty without the file. DataError when its columns are wrong."""
    path = Path(root) / GROUPS_FILE
    if not path.is_file():
        return {}
    groups: dict[str, tuple[str, ...]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"name", "group"} <= set(reader.fieldnames or ()):
            raise DataError(f"{path} has columns {reader.fieldnames}", "name and group", "name them in its first line")
        for row in reader:
            groups[row["name"]] = (*groups.get(row["name"], ()), row["group"])
    return groups


def _check_names(sources: Sequence[Path], others: Sequence[Path], role: str) -> None:
    if len(sources) != len(others):
        raise DataError(
            f"{len(sources)} photos in {sources[0].parent} but {len(others)} in {_place(others)}",
            f"one {role} for each source",
            _odd_one(sources, others),
        )
    ours, theirs = [_key(path) for path in sources], [_key(path) for path in others]
    if ours == theirs or not set(ours) & set(theirs):
        return
    index = next(i for i in range(len(ours)) if ours[i] != theirs[i])
    raise DataError(
        f"photo {index + 1} is {sources[index].name} as source but {others[index].name} as {role}",
        "names that agree for all photos (or for none, as in DPDD)",
        "rename or remove that file",
    )


def _key(path: Path) -> str:
    return NAME_SUFFIX.sub("", path.stem)


def _place(paths: Sequence[Path]) -> str:
    return str(paths[0].parent) if paths else "its counterpart"


def _odd_one(sources: Sequence[Path], others: Sequence[Path]) -> str:
    ours, theirs = {_key(path) for path in sources}, {_key(path) for path in others}
    lonely = sorted(ours ^ theirs)
    if ours & theirs and lonely:
        return f"look for {lonely[0]}, which is on one side only"
    return "download the missing files, or remove the extra ones"


def _check_sizes(pair: Pair, headers: dict[Path, PairHeader]) -> None:
    expected = headers[pair.source]
    for path in (pair.target, pair.left, pair.right):
        if path is None:
            continue
        found = headers[path]
        if (found.width, found.height) != (expected.width, expected.height):
            raise DataError(
                f"{pair.source.name} has {expected.width}x{expected.height} px but {path} has "
                f"{found.width}x{found.height}",
                "one size for all files of a scene",
                "check that both folders are the same release and in the same order",
            )


def _one_depth(name: str, headers: dict[Path, PairHeader]) -> int:
    by_depth = {found.bits: path for path, found in headers.items()}
    if len(by_depth) > 1:
        raise DataError(
            f"{name} mixes 8-bit ({by_depth[8].name}) and 16-bit files ({by_depth[16].name})",
            "one bit depth",
            "keep only one release in this folder; results of both cannot share a row",
        )
    return next(iter(by_depth))


def _read_depth(depth: int, bits: int | None) -> int:
    if bits is None:
        return depth
    if bits not in PEAK or bits > depth:
        raise OptionError(f"--bits {bits} for {depth}-bit files", f"8 or {depth}", "leave --bits out")
    return bits
