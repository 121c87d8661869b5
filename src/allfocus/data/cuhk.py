"""The defocus part of the CUHK blur detection set (Shi et al., CVPR 2014): photos without ground truth."""

from __future__ import annotations

from pathlib import Path

from allfocus.data.layout import Layout, locate, photos
from allfocus.data.pairs import PairSet, assemble

LAYOUT = Layout(
    "CUHK",
    ("",),
    """  ROOT/
    *.jpg   the photos (names that start with "motion" and masks in gt/ are passed over)""",
    wrappers=("CUHK",),
)


def load(root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """CUHK's defocused photos, flat or in `image/`; see `data.registry.load`. No targets, and one split."""
    base = locate(root, LAYOUT)
    chosen = [
        path
        for path in photos(base)
        if not path.name.startswith("motion") and "gt" not in path.relative_to(base).parts[:-1]
    ]
    return assemble("cuhk", base, chosen, bits=bits)
