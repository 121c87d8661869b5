"""Photos for the benchmarks of batches, the command that restores them, and hashes of its results."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import pyvips

from allfocus.batch.journal import NAME, SCRATCH

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LARGE = (
    (6000, 4000, "large.jpg"), (4240, 2832, "twelve16.tif"), (3000, 2000, "six16.png"), (2048, 1365, "three.webp"),
    (2000, 1333, "three.jpg"), (1600, 1067, "two.avif"),
)  # fmt: skip
ENDINGS = (".jpg", ".png", ".tif", ".webp", ".avif")
CELL = (1024, 682)  # of a mosaic


def make_photos(data: Path, folder: Path, megapixels: float, count: int) -> Path:
    """`count` photos of mixed formats, 0.2 to 24 megapixels, from real ones (the largest are enlarged)."""
    real = sorted((data / "real-val" / "source").iterdir()) + sorted((data / "photos").iterdir())
    real += sorted((data / "lytro-val" / "source").iterdir()) + sorted((data / "sharp").glob("*.avif"))
    folder.mkdir(parents=True)
    made = 0
    for index, (width, height, name) in enumerate(LARGE):
        if width * height / 1e6 <= megapixels / 3:
            image = pyvips.Image.new_from_file(str(real[index])).thumbnail_image(width, height=height, size="force")
            image = (image * 257).cast("ushort").copy(interpretation="rgb16") if "16." in name else image
            image.write_to_file(str(folder / name))
            made += 1
    for index in range(count - made):
        place = folder / ("below" if index % 4 == 0 else ".")
        place.mkdir(exist_ok=True)
        image = pyvips.Image.new_from_file(str(real[index % len(real)]))
        image.write_to_file(str(place / f"{index:03d}{ENDINGS[index % len(ENDINGS)]}"))
    return folder


def mosaics(
    data: Path, folder: Path, endings: Sequence[str], shapes: Sequence[tuple[int, int]], share: float = 1.0
) -> Path:
    """A photo of each (width, height): real photos side by side, so that blur and texture are those of real pixels.

    With a share below 1, that share of each side: the upper left of the same picture.
    """
    real = sorted((data / "real-val" / "source").iterdir()) + sorted((data / "photos").iterdir())
    folder.mkdir(parents=True)
    for index, (width, height) in enumerate(shapes):
        across, down = -(-width // CELL[0]), -(-height // CELL[1])
        cells = [
            pyvips.Image.new_from_file(str(real[(index + number) % len(real)])).thumbnail_image(
                CELL[0], height=CELL[1], crop="centre"
            )
            for number in range(across * down)
        ]
        image = pyvips.Image.arrayjoin(cells, across=across)
        image = image.crop(0, 0, *(round(share * side) for side in (width, height)))
        image = image.wrap(x=index, y=0)  # of equal photos a batch would restore one and copy the result
        image.write_to_file(str(folder / f"{index:03d}{endings[index % len(endings)]}"))
    return folder


def size(path: Path) -> float:
    """Megapixels of a photo."""
    image = pyvips.Image.new_from_file(str(path))
    return image.width * image.height / 1e6


def hashes(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of every result below a folder; what is none of them (journal, list of results) is left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and SCRATCH not in path.parts and not path.name.startswith((NAME, ".allfocus-results"))
    }


def command(source: Path, out: Path, *options: str) -> list[str]:
    """`allfocus deblur` of a folder."""
    return [sys.executable, "-m", "allfocus", "deblur", str(source), "-o", str(out), *options]
