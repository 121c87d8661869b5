"""Input and ours side by side, photo by photo, on one JPEG that a person can look at.

    python tools/sheet.py DIR --model ifan-fast -o results/photos.ifan-fast.jpg
    python tools/sheet.py PAIRS --model models/my-model.json -o results/real-val.jpg

DIR holds photos, or source/ and target/, whose target is then shown as a third column. Each photo is a row: whole, and
the place that changed most at twice its size.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyvips

from allfocus import Deblurrer
from allfocus.atomic_file import AtomicFile
from allfocus.data import folder as folders
from allfocus.data.pairs import Pair, PairSet

PANEL_PX, CROP_PX, ENLARGE, GAP_PX, LABEL_PX, QUALITY = 420, 210, 2, 6, 22, 88
WHITE = [255.0, 255.0, 255.0]


def main() -> None:
    """Restore every photo and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="ifan-fast")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    paired = (options.folder / "source").is_dir()
    pairs = (folders.load if paired else folders.load_photos)(options.folder)
    deblurrer = Deblurrer(options.model)
    rows = [_row(pairs, pair, deblurrer) for pair in pairs]
    write(rows, options.output)


def _row(pairs: PairSet, pair: Pair, deblurrer: Deblurrer) -> pyvips.Image:
    print(pair.name, flush=True)
    photo = (pairs.read(pair.source) * 255).round().astype(np.uint8)
    pictures = [photo, deblurrer.run(photo).output]
    labels = [f"{pair.name}: input", "ours"]
    if pair.target is not None:
        pictures.append((pairs.read(pair.target) * 255).round().astype(np.uint8))
        labels.append("target")
    return row(pictures, labels)


def row(pictures: Sequence[np.ndarray], labels: Sequence[str]) -> pyvips.Image:
    """Whole pictures (H, W, 3) uint8 side by side, then the same enlarged where the first two differ most."""
    y, x = most_changed(pictures[0], pictures[1])
    wholes, crops = [], []
    for picture, label in zip(pictures, labels, strict=True):
        image = pyvips.Image.new_from_array(np.ascontiguousarray(picture), interpretation="srgb")
        scale = PANEL_PX / max(image.width, image.height)
        wholes.append(_labelled(image.resize(min(scale, 1.0)), label))
        side = min(CROP_PX, image.width, image.height)
        crops.append(_labelled(image.crop(x, y, side, side).resize(ENLARGE, kernel="cubic"), f"{x}, {y}"))
    return pyvips.Image.arrayjoin([*wholes, *crops], across=2 * len(pictures), shim=GAP_PX, background=WHITE)


def most_changed(before: np.ndarray, after: np.ndarray) -> tuple[int, int]:
    """Top and left of the square that changed most."""
    change = np.abs(after.astype(np.float32) - before).mean(axis=2)
    side = min(CROP_PX, *change.shape)
    sums = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(int(boxes.argmax()), boxes.shape)
    return int(top), int(left)


def write(rows: Sequence[pyvips.Image], output: Path) -> None:
    """All rows below each other as one JPEG, beside and renamed."""
    width = max(one.width for one in rows)
    level = [one.embed(0, 0, width, one.height, background=WHITE) for one in rows]
    sheet = level[0]
    for one in level[1:]:
        sheet = sheet.join(one, "vertical", shim=GAP_PX, background=WHITE)
    output.parent.mkdir(parents=True, exist_ok=True)
    with AtomicFile(output, overwrite=True) as file:
        sheet.jpegsave(str(file.temporary), Q=QUALITY)


def _labelled(image: pyvips.Image, label: str) -> pyvips.Image:
    image = image.copy_memory()
    text = pyvips.Image.text(label, dpi=90).invert()  # black on white
    text = text.bandjoin([text, text]).copy(interpretation="srgb")
    text = text.crop(0, 0, min(text.width, image.width), min(text.height, LABEL_PX))
    strip = text.embed(2, 2, image.width, LABEL_PX, background=WHITE)
    return strip.join(image, "vertical", background=WHITE)


if __name__ == "__main__":
    main()
