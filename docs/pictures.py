"""Makes the pictures of README.md from the example photos: `python docs/pictures.py` (needs the dev extra).

before-after.jpg: the examples as they came and through allfocus. limits.jpg: a blur that is too strong (12 px), as it
came, through allfocus, and the truth. strength.jpg: crops of the examples as they came and at several strengths.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyvips

import allfocus

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
ENLARGE = 1.5
GAP_PX = 8
WHITE = [255.0]
STRENGTHS = (0.5, 1.0, 1.4)


def pixels(path: Path) -> np.ndarray:
    """An example as (H, W, 3) uint8."""
    return pyvips.Image.new_from_file(str(path))[:3].numpy()


def row(pictures: list[np.ndarray]) -> pyvips.Image:
    """Side by side, enlarged."""
    images = [pyvips.Image.new_from_array(picture).resize(ENLARGE, kernel="cubic") for picture in pictures]
    return pyvips.Image.arrayjoin(images, across=len(images), shim=GAP_PX, background=WHITE)


def deblurred(photo: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Through allfocus."""
    sharp = allfocus.deblur(photo, strength=strength)
    assert isinstance(sharp, np.ndarray)
    return sharp


def save(rows: list[pyvips.Image], name: str) -> None:
    """One row below the other."""
    sheet = pyvips.Image.arrayjoin(rows, across=1, shim=GAP_PX, background=WHITE, halign="centre")
    sheet.jpegsave(str(HERE / name), Q=88)


def main() -> None:
    """Write the pictures."""
    sys.path.insert(0, str(EXAMPLES))
    from make import Example, Lens, defocus

    crops = {"cat-real.png": (0, 0), "astronaut-simulated.jpg": (130, 0), "rocket-simulated.jpg": (200, 120)}
    rows = []
    for name, (left, top) in crops.items():
        photo = pixels(EXAMPLES / "photos" / name)
        cut = np.s_[top : top + 240, left : left + 400]
        rows.append(row([photo[cut], deblurred(photo)[cut]]))
    save(rows, "before-after.jpg")

    rows = []
    for name, (left, top) in {"cat-real.png": (10, 60), "astronaut-simulated.jpg": (190, 20)}.items():
        photo = pixels(EXAMPLES / "photos" / name)
        cut = np.s_[top : top + 160, left : left + 160]
        rows.append(row([photo[cut], *(deblurred(photo, strength)[cut] for strength in STRENGTHS)]))
    save(rows, "strength.jpg")

    truth = pixels(EXAMPLES / "truth" / "astronaut.png")
    photo = defocus(truth, Example("astronaut", 12.0, 12.0, Lens(edge_px=0.35)))
    cut = np.s_[0:240, 130:430]
    row([photo[cut], deblurred(photo)[cut], truth[cut]]).jpegsave(str(HERE / "limits.jpg"), Q=88)


if __name__ == "__main__":
    main()
