"""DPDD (Abuolaim and Brown, ECCV 2020), and other sets in its folder layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from allfocus.data.layout import Layout, locate, photos
from allfocus.data.pairs import Pair, PairSet, assemble
from allfocus.errors import DataError, OptionError

SPLITS = ("train", "val", "test")
TREE = """  ROOT/
    {split}_c/source/*.png   the photo
    {split}_c/target/*.png   its sharp counterpart
    {split}_l/source/*.png   left view (optional)
    {split}_r/source/*.png   right view (optional)"""
LABELS = {"indoor": "indoor_labels.npy", "outdoor": "outdoor_labels.npy"}


def load(root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """DPDD in 8 or 16 bits, with its dual-pixel views where they are there; see `data.registry.load`.

    `indoor_labels.npy` and `outdoor_labels.npy` (1-based positions in the test split) or a `groups.csv` in the root
    put the scenes into the groups "indoor" and "outdoor".
    """
    return load_layout(root, "dpdd", "DPDD", split, bits, wrappers=("DPDD", "dd_dp_dataset_canon"))


def load_layout(
    root: Path, name: str, title: str, split: str, bits: int | None, wrappers: tuple[str, ...] = ()
) -> PairSet:
    """Any set in DPDD's layout; arguments and errors as `load`."""
    if split not in SPLITS:
        raise OptionError(f"--split {split}", f"one of {', '.join(SPLITS)}", "leave it out for test")
    layout = Layout(
        title, (f"{split}_c/source", f"{split}_c/target"), TREE.replace("{split}", split), wrappers=wrappers
    )
    base = locate(root, layout)
    left, right = (photos(base / f"{split}_{side}" / "source") for side in "lr")
    if bool(left) != bool(right):
        raise DataError(f"{base} has only one of {split}_l and {split}_r", "both views or none", "download the other")
    found = assemble(
        f"{name}-{split}",
        base,
        photos(base / f"{split}_c" / "source"),
        photos(base / f"{split}_c" / "target"),
        (left, right) if left else None,
        bits=bits,
    )
    return _with_labels(found, split)


def _with_labels(pairs: PairSet, split: str) -> PairSet:
    if split != "test":
        return pairs
    groups: dict[int, tuple[str, ...]] = {}
    for group, file in LABELS.items():
        path = pairs.root / file
        if not path.is_file():
            continue
        positions = np.load(path, allow_pickle=False).astype(int).ravel()
        if positions.size and (positions.min() < 1 or positions.max() > len(pairs)):
            raise DataError(
                f"{path} names photos {positions.min()} to {positions.max()}",
                f"positions from 1 to {len(pairs)}",
                "the labels of the same release of the data set",
            )
        for position in positions:
            groups[int(position) - 1] = (*groups.get(int(position) - 1, ()), group)
    labelled = tuple(_grouped(pair, groups.get(index, ())) for index, pair in enumerate(pairs))
    return replace(pairs, pairs=labelled)


def _grouped(pair: Pair, more: tuple[str, ...]) -> Pair:
    return replace(pair, groups=(*pair.groups, *more)) if more else pair
