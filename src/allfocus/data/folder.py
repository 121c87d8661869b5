"""Any folder of photos, any two folders of pairs, and folders of results from other software."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from allfocus.data.layout import Layout, locate, photos
from allfocus.data.pairs import NAME_SUFFIX, Pair, PairSet, assemble
from allfocus.errors import DataError

NAMES = (("source", "target"), ("input", "target"), ("input", "ground_truth"), ("input", "gt"), ("blur", "sharp"))
LAYOUT = Layout(
    "a folder of pairs",
    NAMES[0],
    """  ROOT/
    source/*   the defocused photos (or input/, blur/)
    target/*   their sharp counterparts in the same order (or ground_truth/, gt/, sharp/)""",
)
RESULT_SUFFIXES = (".sharp", "_sharp", "_deblurred", "_restored", "_out", "_output", "_result")


def load(root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """A folder with `source` and `target` (or `NAMES`), a set of its name; see `data.registry.load`. One split."""
    root = Path(root)
    for source, target in NAMES:
        if photos(root / source) and photos(root / target):
            return load_two(root / source, root / target, bits)
    base = locate(root, LAYOUT)
    return load_two(base / "source", base / "target", bits)


def load_two(sources: Path, targets: Path, bits: int | None = None) -> PairSet:
    """Two folders, paired by position; the set is named after the folder that holds the first."""
    for folder in (sources, targets):
        if not photos(folder):
            raise DataError(f"no photos in {folder}", "photos", "check the name of the folder")
    root = Path(sources).resolve().parent
    return assemble(root.name or "pairs", root, photos(sources), photos(targets), bits=bits)


def load_photos(root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """Photos without any counterpart, in a folder or below it; arguments and errors as `load`."""
    base = locate(root, Layout("a folder of photos", ("",), "  ROOT/\n    *   photos"))
    return assemble(base.resolve().name or "photos", base, photos(base), bits=bits)


def match_results(folder: Path, pairs: PairSet) -> dict[str, Path]:
    """The result file of each scene: pair name -> path.

    A result is named like the source or the target, perhaps with an ending such as `.sharp` or `_restored`; when no
    name agrees at all and the counts do, results are taken in order.

    Raises:
        DataError: a missing folder, results that are missing, or files that are neither named nor counted right.
    """
    found = photos(Path(folder)) if Path(folder).is_dir() else []
    if not found:
        raise DataError(f"no photos in {folder}", f"results for {len(pairs)} scenes", "check the name of the folder")
    by_name: dict[str, Path] = {}
    for path in found:
        twin = by_name.setdefault(_result_key(path), path)
        if twin != path:
            raise DataError(f"{twin.name} and {path.name} in {folder}", "one result per scene", "remove one of them")
    shared = Counter(pair.target for pair in pairs)
    matched: dict[str, Path] = {}
    for pair in pairs:
        keys = [key for key in _keys(pair, shared[pair.target] == 1) if key in by_name]
        if keys:
            matched[pair.name] = by_name[keys[0]]
    if len(matched) == len(pairs):
        return matched
    if not matched and len(found) == len(pairs):
        return {pair.name: path for pair, path in zip(pairs, found, strict=True)}
    missing = next(pair.name for pair in pairs if pair.name not in matched)
    raise DataError(
        f"{folder} has {len(found)} photos, {len(matched)} of them named like one of the {len(pairs)} scenes "
        f"(none for {missing})",
        "one result per scene, named like its source or target",
        "rename the results, or run with the --limit that they were made with",
    )


def _keys(pair: Pair, own_target: bool) -> list[str]:
    keys = [pair.name, pair.source.stem]
    if own_target and pair.target is not None:
        keys += [NAME_SUFFIX.sub("", pair.source.stem), pair.target.stem, NAME_SUFFIX.sub("", pair.target.stem)]
    return keys


def _result_key(path: Path) -> str:
    for suffix in RESULT_SUFFIXES:
        if path.stem.endswith(suffix):
            return path.stem.removesuffix(suffix)
    return path.stem
