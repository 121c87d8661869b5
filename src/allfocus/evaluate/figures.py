"""The paper's qualitative figures: input, methods and ground truth side by side, with marked and enlarged crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allfocus.atomic_file import AtomicFile, make_folder
from allfocus.data.pairs import Pair, PairSet
from allfocus.errors import OptionError, needs
from allfocus.evaluate.methods import Method
from allfocus.evaluate.score import restored_whole
from allfocus.metrics import psnr_fit

COLOURS = ("#ffcc00", "#00b7ff", "#ff4f9a", "#5bd75b")
WHOLE_PX = 640
COLUMN_INCHES = 2.4
DPI = 200
CROP_SHARE = 5


@dataclass(frozen=True)
class Crop:
    """A rectangle of a photo in px, from the top left."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Crop:
        """From "X,Y,WIDTH,HEIGHT". OptionError for anything else."""
        try:
            x, y, width, height = (int(part) for part in text.split(","))
        except ValueError as error:
            raise OptionError(f"the crop {text!r}", "X,Y,WIDTH,HEIGHT in px", "--crop 100,200,160,120") from error
        if min(x, y) < 0 or min(width, height) < 1:
            raise OptionError(f"the crop {text!r}", "a place inside the photo", "--crop 100,200,160,120")
        return cls(x, y, width, height)

    def of(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The pixels; OptionError when the crop reaches outside."""
        height, width = image.shape[:2]
        if self.x + self.width > width or self.y + self.height > height:
            raise OptionError(
                f"a crop of {self.width}x{self.height} at {self.x},{self.y}",
                f"one inside the photo of {width}x{height} px",
                "leave --crop out to choose one automatically",
            )
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class FigureRow:
    """One scene of a figure: titles and pictures from left to right, float32 (H, W, 3) in [0, 1], and its crops."""

    titles: tuple[str, ...]
    pictures: tuple[NDArray[np.float32], ...]
    crops: tuple[Crop, ...]


def make_row(
    pairs: PairSet, pair: Pair, methods: Sequence[Method], crops: Sequence[Crop] = (), crop_count: int = 2
) -> FigureRow:
    """Restore one scene with every method, from left to right, and enlarge `crops`, or `crop_count` chosen ones.

    AllfocusError: the scene, a method, or a crop outside the photo.
    """
    source = pairs.read(pair.source)
    target = None if pair.target is None else pairs.read(pair.target)
    titles, pictures = ["input"], [source]
    for method in methods:
        if method.conditions.kind != "input":
            titles.append(method.label)
            pictures.append(restored_whole(method, pairs, pair))
    if target is not None:
        titles = [
            f"{title}\n{psnr_fit(picture, target):.2f} dB" for title, picture in zip(titles, pictures, strict=True)
        ]
        titles.append("ground truth\nPSNR-fit")
        pictures.append(target)
    chosen = tuple(crops) or choose_crops(source, pictures[-1], crop_count)
    for crop in chosen:
        crop.of(source)
    return FigureRow(tuple(titles), tuple(pictures), chosen)


def choose_crops(source: NDArray[np.float32], other: NDArray[np.float32], count: int) -> tuple[Crop, ...]:
    """The places where `other` gained most detail over `source` (H, W, 3): a fifth of the short side, no overlap."""
    height, width = source.shape[:2]
    side = max(1, min(height, width) // CROP_SHARE)
    gained = _detail(other) - _detail(source)
    sums = np.pad(gained, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    energy = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    crops = []
    for _ in range(count):
        if not np.isfinite(energy).any():
            break
        y, x = np.unravel_index(np.argmax(energy), energy.shape)
        crops.append(Crop(int(x), int(y), side, side))
        energy[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = -np.inf
    return tuple(crops)


def _detail(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared differences to the neighbours on the right and below, summed over channels: (H, W)."""
    unit = np.pad(image.astype(np.float64), ((0, 1), (0, 1), (0, 0)), mode="edge")
    across, down = np.diff(unit, axis=1)[:-1], np.diff(unit, axis=0)[:, :-1]
    return (across**2 + down**2).sum(axis=2)


def draw(rows: Sequence[FigureRow], paths: Sequence[Path]) -> None:
    """Draw scenes of the same methods, from top to bottom, into each path; its ending (.png, .pdf) is its format.

    Raises:
        MissingExtraError: matplotlib is not installed. OutputError: a path that cannot be written.
    """
    with needs("allfocus figure", "eval", "matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    columns = max(len(row.pictures) for row in rows)
    shapes = [_heights(row) for row in rows]
    total = sum(whole + crops for whole, crops in shapes)
    figure = Figure(figsize=(COLUMN_INCHES * columns, COLUMN_INCHES * total + 0.5 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [height for shape in shapes for height in shape]
    grid = figure.add_gridspec(2 * len(rows), columns, height_ratios=ratios)
    for index, row in enumerate(rows):
        for column, (title, picture) in enumerate(zip(row.titles, row.pictures, strict=True)):
            axes = figure.add_subplot(grid[2 * index, column])
            _show_whole(axes, picture, row.crops)
            axes.set_title(title, fontsize=7)
            below = grid[2 * index + 1, column].subgridspec(1, len(row.crops), wspace=0.03)
            for place, crop in enumerate(row.crops):
                _show_crop(figure.add_subplot(below[0, place]), picture, crop, COLOURS[place % len(COLOURS)])
    for path in paths:
        _save(figure, path)


def _heights(row: FigureRow) -> tuple[float, float]:
    """Heights of the whole photos and of the crops below them, as shares of a column's width."""
    height, width = row.pictures[0].shape[:2]
    return height / width, max(crop.height / crop.width for crop in row.crops) / len(row.crops)


def _show_whole(axes, picture: NDArray[np.float32], crops: Sequence[Crop]) -> None:
    from matplotlib.patches import Rectangle

    step = max(1, max(picture.shape[:2]) // WHOLE_PX)
    height, width = (side - side % step for side in picture.shape[:2])
    small = picture[:height, :width].reshape(height // step, step, width // step, step, -1).mean(axis=(1, 3))
    axes.imshow(np.clip(small, 0, 1), extent=(0, width, height, 0), interpolation="antialiased")
    for place, crop in enumerate(crops):
        colour = COLOURS[place % len(COLOURS)]
        axes.add_patch(Rectangle((crop.x, crop.y), crop.width, crop.height, fill=False, edgecolor=colour, linewidth=1))
    axes.set_axis_off()


def _show_crop(axes, picture: NDArray[np.float32], crop: Crop, colour: str) -> None:
    axes.imshow(np.clip(crop.of(picture), 0, 1), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=1.5)


def _save(figure, path: Path) -> None:
    make_folder(path.parent)
    with AtomicFile(path, overwrite=True) as file:
        figure.savefig(file.temporary, dpi=DPI, format=path.suffix.removeprefix("."))
