"""LFDOF (Ruan et al., ICIP 2021): defocus rendered from light fields, several apertures to one sharp photo."""

from __future__ import annotations

import re
from pathlib import Path

from allfocus.data.layout import Layout, locate, photos
from allfocus.data.pairs import PairSet, assemble
from allfocus.errors import DataError, OptionError

SPLITS = ("train", "test")
APERTURE = re.compile(r"_ap\d+$")
TREE = """  ROOT/
    {split}_data/input/**/NAME_ap*.png      one photo for each aperture
    {split}_data/ground_truth/NAME.png      their sharp counterpart"""


def load(root: Path, split: str = "test", bits: int | None = None) -> PairSet:
    """LFDOF; each input is paired with the ground truth of its name before `_ap`. See `data.registry.load`."""
    if split not in SPLITS:
        raise OptionError(f"--split {split}", f"one of {', '.join(SPLITS)}", "leave it out for test")
    folders = (f"{split}_data/input", f"{split}_data/ground_truth")
    base = locate(root, Layout("LFDOF", folders, TREE.replace("{split}", split), wrappers=("LFDOF",)))
    sources, sharp = photos(base / folders[0]), {path.stem: path for path in photos(base / folders[1])}
    lonely = [path for path in sources if APERTURE.sub("", path.stem) not in sharp]
    if lonely:
        raise DataError(
            f"{lonely[0]} has no ground truth ({len(lonely)} of {len(sources)} photos)",
            f"{folders[1]}/{APERTURE.sub('', lonely[0].stem)}.png",
            "download the missing files, or remove the extra ones",
        )
    targets = [sharp[APERTURE.sub("", path.stem)] for path in sources]
    return assemble(f"lfdof-{split}", base, sources, targets, bits=bits)
