"""What a network does at one place of a photo, as numbers and as a figure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from allfocus.atomic_file import AtomicFile
from allfocus.defocus.files import coloured
from allfocus.defocus.map import DISPARITY_TO_RADIUS
from allfocus.errors import OptionError, needs
from allfocus.photo.canvas import vips_name
from allfocus.photo.decoder import reason
from allfocus.photo.photo import Photo
from allfocus.photo.tiling import Box
from allfocus.weights.store import Model

MARGIN_CELLS = 4
SHARES = (0.5, 0.9, 0.99)
_PANEL_PX, _GAP_PX, _CAPTION_PX, _ACROSS = 360, 12, 30, 4
_DECADES = 3.0
_LEAST_FIELD_PX = 24
_WHITE, _FRAME, _INK = 255, 200, 40
_BLUE, _RED = np.array([33.0, 102.0, 172.0]), np.array([178.0, 24.0, 43.0])
_MARK = np.array([255, 60, 0], np.uint8)


@dataclass(frozen=True)
class Inspection:
    """The network at one place; lengths in px of the photo as the network saw it, `scale` times smaller.

    Attributes:
        x, y: of the place in px of the full-size photo.
        scale: working scale, 1, 2 or 4.
        cell_px: side of a cell of the kernels.
        seen: (h, w, 3) the part of the photo that the network was given, in [0, 1].
        inside: column and row of the place in it.
        kernels: (C, 2N+1, 2N+1) effective kernel of each feature at the place, see `nets.effective`.
        field: (h, w) how much the result at the place moves with each pixel.
        residual: (3,) the network's residual at the place.
        radius_px: signed blur radius from its disparity, in px of the full-size photo; None if it estimates none.
    """

    x: int
    y: int
    scale: int
    cell_px: int
    seen: NDArray[np.float32]
    inside: tuple[int, int]
    kernels: NDArray[np.float32]
    field: NDArray[np.float32]
    residual: NDArray[np.float32]
    radius_px: float | None

    def mean_kernel(self) -> NDArray[np.float32]:
        """(2N+1, 2N+1) mean of the absolute kernels, scaled to a sum of 1; zeros where the filters pass nothing on."""
        mean = np.abs(self.kernels).mean(axis=0)
        total = float(mean.sum())
        return mean / total if total > 0 else mean

    def field_reach(self) -> dict[str, float] | None:
        """Radii in px within which 50, 90 and 99 % of the receptive field lies; None if it is empty."""
        return _reach(self.field, (self.inside[1], self.inside[0]), 1)

    def strongest(self, count: int) -> list[int]:
        """Channels whose kernels have the most energy beyond their middle cell."""
        energy = self.kernels.astype(np.float64) ** 2
        middle = energy.shape[1] // 2
        beyond = energy.sum(axis=(1, 2)) - energy[:, middle, middle]
        return [int(channel) for channel in np.argsort(-beyond, kind="stable")[:count]]

    def numbers(self) -> dict[str, Any]:
        """What the figure shows, for machines."""
        mean = self.mean_kernel()
        middle = mean.shape[0] // 2
        return {
            "at": [self.x, self.y],
            "scale": self.scale,
            "radius_px": None if self.radius_px is None else abs(self.radius_px),
            "residual": [float(value) for value in self.residual],
            "kernel": {
                "cells": mean.shape[0],
                "cell_px": self.cell_px,
                "largest_tap": float(np.abs(self.kernels).max()),
                "share_of_the_middle_cell": float(mean[middle, middle]),
                "reach_px": _reach(mean, (middle, middle), self.cell_px),
                "strongest_channels": self.strongest(_ACROSS**2),
                "mean": [[float(f"{value:.4g}") for value in row] for row in mean],
            },
            "receptive_field": {"reach_px": self.field_reach()},
        }


def inspect(photo: Photo, model: Model, x: int, y: int, scale: int = 1) -> Inspection:
    """Take a model apart at one place of a photo.

    Args:
        photo: decoded.
        model: of one view, found and verified.
        x, y: of the place, in px from the left and the top of the upright photo.
        scale: 1, 2 or 4: the network sees the photo that much smaller, as at that working scale of `allfocus deblur`,
            but without what coarser scales would have added.

    Raises:
        OptionError: a place outside, another scale, or a network without filters.
        MissingExtraError: torch is not installed.
    """
    with needs("allfocus inspect", "torch", "torch"):
        import torch

        from allfocus.checkpoints.native import load_into
        from allfocus.nets.effective import look
        from allfocus.nets.registry import Architecture
    if not (0 <= x < photo.width and 0 <= y < photo.height):
        raise OptionError(f"the place {x},{y}", f"one in the photo of {photo.width}x{photo.height}", "--at X,Y in px")
    if scale not in (1, 2, 4):
        raise OptionError(f"scale {scale}", "1, 2 or 4", "--scale 1")
    architecture = Architecture(**model.card.architecture)
    net = architecture.build()
    load_into(net, model.weights)
    reader, cell_px = photo.unit(scale), model.card.multiple
    half_px = (architecture.iterations + MARGIN_CELLS) * cell_px
    column, left, width = _window(x // scale, reader.width, cell_px, half_px)
    row, top, height = _window(y // scale, reader.height, cell_px, half_px)
    seen = reader.read(Box(left, top, width, height))
    batch = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)[None]))
    found = look(net, batch, column, row)
    to_px = DISPARITY_TO_RADIUS * cell_px * scale
    radius_px = None if found.disparity is None else found.disparity * to_px
    inside = (column, row)
    return Inspection(x, y, scale, cell_px, seen, inside, found.kernels, found.field, found.residual, radius_px)


def write_figure(found: Inspection, path: Path, *, overwrite: bool = False) -> None:
    """Write a PNG: the photo around the pixel, its receptive field, the mean kernel, and the strongest channels.

    OutputError if it cannot be written.
    """
    mean = found.mean_kernel()
    cells, reach = mean.shape[0], found.field_reach()
    looked = "nothing" if reach is None else f"90 % within {reach['90']:.0f} px"
    passed = (
        f"mean kernel, {cells}x{cells} cells of {found.cell_px} px" if mean.any() else "the filters pass nothing on"
    )
    panels = [
        (_marked(found, cells), f"the place, and the {cells * found.cell_px} px of its kernels"),
        (_heat(_around(found, reach)), f"receptive field: {looked}"),
        (_heat(mean), passed),
        (_channels(found), "kernels of the strongest channels (red +, blue -)"),
    ]
    sheet = pyvips.Image.arrayjoin(
        [_panel(pixels, caption) for pixels, caption in panels], across=2, shim=_GAP_PX, background=[float(_WHITE)] * 3
    )
    with AtomicFile(path, overwrite=overwrite) as output:
        try:
            with vips_name(output.temporary) as name:
                sheet.pngsave(name)
        except pyvips.Error as error:
            raise output.refusal(reason(error)) from error


def _window(place: int, length: int, cell_px: int, half_px: int) -> tuple[int, int, int]:
    """Along one axis: the place inside the window, its start and its length, on the network's grid."""
    cell = place // cell_px * cell_px
    start = max(0, cell - half_px)
    end = min(length + -length % cell_px, cell + cell_px + half_px)
    return place - start, start, end - start


def _reach(weights: NDArray[np.float32], middle: tuple[int, int], step_px: int) -> dict[str, float] | None:
    """Radii in px within which a share of the absolute weights lies: {"50": ..., "90": ..., "99": ...}."""
    rows, columns = np.indices(weights.shape)
    distance = np.hypot(rows - middle[0], columns - middle[1]).ravel() * step_px
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(np.abs(weights).ravel()[order], dtype=np.float64)
    if held[-1] == 0:
        return None
    places = np.searchsorted(held, np.array(SHARES) * held[-1])
    return {f"{share:.0%}"[:-1]: float(distance[order][place]) for share, place in zip(SHARES, places, strict=True)}


def _around(found: Inspection, reach: dict[str, float] | None) -> NDArray[np.float32]:
    """The part of the field that holds almost all of it."""
    half = _LEAST_FIELD_PX if reach is None else max(_LEAST_FIELD_PX, round(1.25 * reach["99"]))
    x, y = found.inside
    return found.field[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]


def _marked(found: Inspection, cells: int) -> NDArray[np.uint8]:
    """The photo with the square of cells that the kernels reach, and the place."""
    pixels = np.rint(np.clip(found.seen, 0, 1) * 255).astype(np.uint8)
    height, width = pixels.shape[:2]
    left, top = (place // found.cell_px * found.cell_px - cells // 2 * found.cell_px for place in found.inside)
    side = cells * found.cell_px
    rows = np.arange(max(top, 0), min(top + side, height))
    columns = np.arange(max(left, 0), min(left + side, width))
    for y in (top, top + side - 1):
        if 0 <= y < height:
            pixels[y, columns] = _MARK
    for x in (left, left + side - 1):
        if 0 <= x < width:
            pixels[rows, x] = _MARK
    x, y = found.inside
    pixels[max(y - 5, 0) : y + 6, x] = _MARK
    pixels[y, max(x - 5, 0) : x + 6] = _MARK
    return pixels


def _heat(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Absolute values over three decades of brightness."""
    share = np.abs(values) / max(float(np.abs(values).max()), 1e-12)
    return coloured(1 + np.log10(np.maximum(share, 10**-_DECADES)) / _DECADES)


def _channels(found: Inspection) -> NDArray[np.uint8]:
    """A square of signed kernels, each scaled by its own largest tap."""
    edge = ((1, 1), (1, 1), (0, 0))
    chosen = [_signed(found.kernels[channel]) for channel in found.strongest(_ACROSS**2)]
    tiles = [np.pad(kernel, edge, constant_values=_FRAME) for kernel in chosen]
    tiles += [np.full_like(tiles[0], _WHITE)] * (_ACROSS**2 - len(tiles))
    return np.concatenate([np.concatenate(tiles[i : i + _ACROSS], axis=1) for i in range(0, len(tiles), _ACROSS)])


def _signed(kernel: NDArray[np.float32]) -> NDArray[np.uint8]:
    """White at 0, red above, blue below; by the square root, so that faint taps show."""
    share = kernel / max(float(np.abs(kernel).max()), 1e-12)
    depth = np.sqrt(np.abs(share))[..., None]
    ink = np.where(share[..., None] >= 0, _RED, _BLUE)
    return np.rint(_WHITE * (1 - depth) + ink * depth).astype(np.uint8)


def _panel(pixels: NDArray[np.uint8], caption: str) -> pyvips.Image:
    """One picture, enlarged to the same width as all, above its caption."""
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    enlarge = _PANEL_PX / max(image.width, image.height)
    image = image.resize(enlarge, kernel="nearest" if enlarge > 1 else "linear")
    left, top = (_PANEL_PX - image.width) // 2, (_PANEL_PX - image.height) // 2
    image = image.embed(
        left, top, _PANEL_PX, _PANEL_PX + _CAPTION_PX, extend="background", background=[float(_WHITE)] * 3
    )
    text = pyvips.Image.text(caption, dpi=84, width=_PANEL_PX)
    ink = text.embed(0, _PANEL_PX + _CAPTION_PX - text.height - 4, image.width, image.height)
    return ink.ifthenelse([_INK] * 3, image, blend=True).cast("uchar").copy(interpretation="srgb")
