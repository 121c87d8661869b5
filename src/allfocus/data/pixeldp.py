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
    """PixelDP; photos are turned 90 degrees counter-clockwise before a network and back after it.

    Its views are split along the other axis than in the photos that networks are trained on, hence the turn.

    Args:
        root: holds `test_c`, `test_l` and `test_r`, or the folder `PixelDP` that does.
        split: ignored, there is one.
        bits: 8 to round 16-bit files to 8 bits.
    Raises:
        DataError: another layout, or files that do not fit together.
    """
    base = locate(root, LAYOUT)
    centre, left, right = (photos(base / folder) for folder in LAYOUT.folders)
    return assemble("pixeldp", base, centre, views=(left, right), bits=bits, quarter_turns=QUARTER_TURNS)
