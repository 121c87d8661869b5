"""PixelDP: dual-pixel photos of a Pixel 4 phone, published with DPDNet; no ground truth, lying on their side."""

from __future__ import annotations

from pathlib import Path

from allfocus.data.layout import Layout, locate, photos
from allfocus.data.pairs import PairSet, assemble

QUARTER_TURNS = 1
LAYOUT = Layout(
    "PixelDP",
    ("test_c", "test_l", "test_r"),
    """  ROOT/
    test_c/**/*.png   the photo
    test_l/**/*.png   left view
    test_r/**/*.png   right view""",
    wrappers=("PixelDP",),
)


def load(root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """PixelDP; see `data.registry.load`. There is one split.

    Photos are turned 90 degrees counter-clockwise for a network and back, since their views are split along the other
    axis than those that networks are trained on.
    """
    base = locate(root, LAYOUT)
    centre, left, right = (photos(base / folder) for folder in LAYOUT.folders)
    return assemble("pixeldp", base, centre, views=(left, right), bits=bits, quarter_turns=QUARTER_TURNS)
