"""RealDOF (Lee et al., CVPR 2021): 50 pairs taken at the same moment by two cameras; test only."""

from __future__ import annotations

from pathlib import Path

from allfocus.data.layout import Layout, locate, photos
from allfocus.data.pairs import PairSet, assemble

LAYOUT = Layout(
    "RealDOF",
    ("source", "target"),
    """  ROOT/
    source/*.png   the defocused photo
    target/*.png   its sharp counterpart""",
    wrappers=("RealDOF",),
)


def load(root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """RealDOF; see `data.registry.load`. There is one split."""
    base = locate(root, LAYOUT)
    return assemble("realdof", base, photos(base / "source"), photos(base / "target"), bits=bits)
