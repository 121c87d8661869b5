"""How blurred a photo is, measured from its gradients: over the whole photo, and at each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allfocus import compiled
from allfocus.photo.photo import Photo, Reader
from allfocus.photo.tiling import Box

SAMPLE_PX = 128
SAMPLES_ACROSS = 8
LEAST_PX = 16  # sides of what can be measured
PRESMOOTH_SIGMA_PX = 0.7  # noise out, before gradients are compared
REBLUR_SIGMA_PX = 1.0
WINDOW_PX = 25
FLAT = 2e-6  # squared gradient of what counts as flat
HALVINGS = 3  # of the picture that is measured: down to an eighth of its size
TRUSTED_PX = 2.5  # from this radius on, in px of a halved picture, a place is measured there
LARGEST_RADIUS_PX = 20.0  # in px of the picture that is measured; beyond it the ratio of gradients says nothing
TEXTURE = 0.02
EDGES = 0.9  # of a sample's pixels have smaller gradients than what counts as its edges
LEAST_EDGES = 8  # pixels, of every second one each way
STEP_PX = 2  # the pipeline takes gradients at every second pixel: after smoothing the others say the same
REACH_PX = 6  # that `sampled_energies` need around
LOST_PX = 10.0
"""Beyond this radius blur is reduced, not removed: fine detail stays away (results/gain_by_radius.ifan-fast.json)."""
BLOCK_PX = (256, 512)  # rows and columns that the processor's cache holds with all that is made of them


@dataclass(frozen=True)
class Blur:
    """Radii of the blur over a photo, in px of the full-size photo.

    Attributes:
        typical_px: median over textured places; 0 where there is no texture at all.
        large_px: 90th percentile.
        places: how many textured places were measured.
    """

    typical_px: float
    large_px: float
    places: int

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence where the photo is blurred by more than can be undone."""
        if self.typical_px <= LOST_PX:
            return ()
        told = f"blurred by about {self.typical_px:.0f} px: outlines get clearer, but from about {LOST_PX:.0f} px on "
        return (told + "fine detail does not come back",)


def measure_blur(photo: Photo) -> Blur:
    """Measure the blur on a small version of the photo, at up to 8x8 places.

    Where there is texture, the energy of the gradients is compared with that after another, known blur: the less is
    lost, the more blurred the place already was (the gradient ratio of Zhuo and Sim, Pattern Recognition 2011). A disc
    of radius r has the second moment of a Gaussian of r/2. From about 8 px on that blur is too small to tell, and what
    it takes away is grain: such places are measured at half their size, and from twice that on at a quarter, and so on.
    """
    shrink = shrink_to_measure(photo.width, photo.height)
    reader = photo.unit(shrink)
    picture = _grey_of(reader)
    energies = [_energies_of(picture)]
    while len(energies) <= HALVINGS and min(picture.shape) >= 2 * LEAST_PX:
        picture = _halved(picture)
        energies.append(_energies_of(picture))
    radii = [radius for place in _places(reader) if (radius := _place_radius_px(place, energies)) is not None]
    if not radii:
        return Blur(0.0, 0.0, 0)
    return Blur(float(np.median(radii)) * shrink, float(np.quantile(radii, 0.9)) * shrink, len(radii))


def shrink_to_measure(width: int, height: int) -> int:
    """1, 2 or 4: the least that brings the photo to 3 megapixels or fewer, if 4 is enough."""
    return next((factor for factor in (1, 2) if width * height <= 3_000_000 * factor**2), 4)


def local_radius_px(pixels: np.ndarray) -> np.ndarray:
    """The blur radius in px at each place of (h, w, 3) in [0, 1]: the measure of `measure_blur` over windows of 25 px.

    Flat places count as very blurred.
    """
    before, after = (window_mean(energy) for energy in gradient_energies(grey(pixels.transpose(2, 0, 1))))
    return radius_px_of(before, after)


def gradient_energies(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared gradients of (h, w) before and after the known blur."""
    smooth = _smooth(grey, PRESMOOTH_SIGMA_PX)
    return _gradient(smooth), _gradient(_smooth(smooth, REBLUR_SIGMA_PX))


def sampled_energies(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`gradient_energies` at every second pixel each way, with a quarter of the work.

    The difference down is that around the pixel below, the one across that around the pixel to the right.

    Args:
        grey: (h + 2 REACH_PX, w + 2 REACH_PX) float32, h and w even.

    Returns:
        (h / 2, w / 2) float32 each.
    """
    if compiled.AVAILABLE:
        return compiled.gradient_energies(grey, SMOOTHING, REACH_PX)
    lines = (grey.shape[0] - 2 * REACH_PX) // STEP_PX + 1

    def line(offset: int) -> np.ndarray:
        first = REACH_PX + offset
        return grey[first : first + STEP_PX * lines - 1 : STEP_PX]

    smooth = [line(0) * kernel[0] for kernel in SMOOTHING]
    pair, product = np.empty_like(smooth[0]), np.empty_like(smooth[0])
    for offset in range(1, max(map(len, SMOOTHING))):
        np.add(line(offset), line(-offset), out=pair)
        for total, kernel in zip(smooth, SMOOTHING, strict=True):
            if offset < len(kernel):
                total += np.multiply(pair, kernel[offset], out=product)
    before, after = (_squared_differences(_smooth_across(*each)) for each in zip(smooth, SMOOTHING, strict=True))
    return before, after


def radius_px_of(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The blur radius in px from means of `gradient_energies`, float32."""
    # across a whole edge the energy falls with its width, at its peak with the square
    return _radius_of(((before + FLAT) / (after + FLAT)) ** 2).astype(np.float32)


def has_texture(pixels: np.ndarray) -> np.ndarray:
    """Where blur would show: (h, w, 3) in [0, 1] -> (h, w), root mean square gradients over 25 px above `TEXTURE`."""
    return window_mean(_gradient(grey(pixels.transpose(2, 0, 1)))) > TEXTURE**2


def _grey_of(reader: Reader) -> np.ndarray:
    """All of it, (h, w) float32: at most 3 megapixels of photos up to 48."""
    whole = np.empty((reader.height, reader.width), np.float32)
    for y in range(0, reader.height, BLOCK_PX[0]):
        box = Box(0, y, reader.width, min(BLOCK_PX[0], reader.height - y))
        whole[y : y + box.height] = reader.grey(box)
    return whole


def _energies_of(grey: np.ndarray) -> Energies:
    """`sampled_energies` of all of (h, w), edges repeated: (h / 2, w / 2), rounded up."""
    grey = np.pad(grey, [(REACH_PX, REACH_PX + size % STEP_PX) for size in grey.shape], mode="edge")
    height, width = (size - 2 * REACH_PX for size in grey.shape)
    energies = np.empty((2, height // STEP_PX, width // STEP_PX), np.float32)
    for y in range(0, height, BLOCK_PX[0]):
        for x in range(0, width, BLOCK_PX[1]):
            block = grey[y : y + BLOCK_PX[0] + 2 * REACH_PX, x : x + BLOCK_PX[1] + 2 * REACH_PX]
            for every, part in zip(energies, sampled_energies(block), strict=True):
                top, left = y // STEP_PX, x // STEP_PX
                every[top : top + part.shape[0], left : left + part.shape[1]] = part
    before, after = energies
    return before, after


def _places(reader: Reader) -> list[Box]:
    side_x, side_y = min(2 * SAMPLE_PX, reader.width), min(2 * SAMPLE_PX, reader.height)
    count_x = min(SAMPLES_ACROSS, max(1, reader.width // SAMPLE_PX))
    count_y = min(SAMPLES_ACROSS, max(1, reader.height // SAMPLE_PX))
    xs = np.linspace(0, reader.width - side_x, count_x).astype(int)
    ys = np.linspace(0, reader.height - side_y, count_y).astype(int)
    return [Box(int(x), int(y), side_x, side_y) for y in ys for x in xs]


Energies = tuple[np.ndarray, np.ndarray]
"""Of a whole picture, before and after the known blur."""


def _place_radius_px(place: Box, energies: Sequence[Energies]) -> float | None:
    """At the smallest size down to which it is blurred enough for that, otherwise of its middle as it is; None without
    texture. A place that is sharp at one size is not measured at smaller ones: soft shading there says nothing."""
    half, trusted = None, None
    for halvings, halved in enumerate(energies[1:], 1):
        sides = (side >> halvings for side in (place.x, place.y, place.width, place.height))
        radius = _sample_radius_px(Box(*sides), halved)
        half = radius if halvings == 1 else half
        if radius is None or radius < TRUSTED_PX:
            break
        trusted = radius * 2**halvings
    if trusted is not None:
        return trusted
    width, height = min(place.width, SAMPLE_PX), min(place.height, SAMPLE_PX)
    inner = Box(place.x + (place.width - width) // 2, place.y + (place.height - height) // 2, width, height)
    middle = _sample_radius_px(inner, energies[0])
    return 2 * half if middle is None and half is not None else middle


def _halved(grey: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 px; an odd last row or column is left out."""
    height, width = (size // 2 * 2 for size in grey.shape)
    rows = grey[0:height:2, :width] + grey[1:height:2, :width]
    return (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)


def _sample_radius_px(sample: Box, energies: Energies) -> float | None:
    if min(sample.width, sample.height) < LEAST_PX:
        return None
    rows, columns = (slice(start // STEP_PX, -(-(start + length) // STEP_PX)) for start, length in (
        (sample.y, sample.height), (sample.x, sample.width)))  # fmt: skip
    before, after = (energy[rows, columns].ravel() for energy in energies)
    steepest = int(EDGES * before.size)
    edges = before >= max(np.partition(before, steepest)[steepest], TEXTURE**2)
    if edges.sum() < LEAST_EDGES:
        return None
    ratio = before[edges].sum() / max(float(after[edges].sum()), 1e-12)
    return min(float(_radius_of(ratio)), LARGEST_RADIUS_PX)


def _radius_of(ratio: np.ndarray) -> np.ndarray:
    """Blur radius in px from the ratio of squared gradients before and after the known blur."""
    return 2 * np.sqrt(np.maximum(REBLUR_SIGMA_PX**2 / np.maximum(ratio - 1, 1e-6) - PRESMOOTH_SIGMA_PX**2, 0))


def grey(planes: np.ndarray) -> np.ndarray:
    """(3, h, w) -> (h, w) float32, mean of the channels."""
    total = planes[0] + planes[1]
    total += planes[2]
    total *= np.float32(1 / 3)
    return total.astype(np.float32, copy=False)


def window_mean(values: np.ndarray) -> np.ndarray:
    """Mean over a square window of 25 px, edges repeated: (h, w) -> (h, w) float32; windows of zeros give exact zeros.

    Sums of 2, 4, 8 and 16 neighbours are made of each other: six additions an axis, where a running sum needs float64.
    """
    values = values.astype(np.float32, copy=False)
    for axis in (0, 1):
        ones = _edges_repeated(values, WINDOW_PX // 2, axis)
        pairs = _apart(ones, 1, axis)
        fours = _apart(pairs, 2, axis)
        eights = _apart(fours, 4, axis)
        length = values.shape[axis]
        values = _part(_apart(eights, 8, axis), 0, length, axis) + _part(eights, 16, length, axis)
        values += _part(ones, 24, length, axis)
        values *= np.float32(1 / WINDOW_PX)
    return values


def _apart(values: np.ndarray, distance: int, axis: int) -> np.ndarray:
    """Each value plus the one `distance` further on; as much shorter."""
    length = values.shape[axis] - distance
    return _part(values, 0, length, axis) + _part(values, distance, length, axis)


def _part(values: np.ndarray, start: int, length: int, axis: int) -> np.ndarray:
    return values[start : start + length] if axis == 0 else values[:, start : start + length]


def _edges_repeated(values: np.ndarray, reach: int, axis: int) -> np.ndarray:
    return np.pad(values, [(reach, reach) if one == axis else (0, 0) for one in (0, 1)], mode="edge")


def _gradient(grey: np.ndarray) -> np.ndarray:
    """Squared gradient of (h, w), each side at least 2 px: differences over 2 px, over 1 px at the borders."""
    total = np.zeros_like(grey)
    for axis in (0, 1):
        values, sums = (grey, total) if axis == 0 else (grey.T, total.T)
        sums[0] += np.square(values[1] - values[0])
        sums[-1] += np.square(values[-1] - values[-2])
        inner = values[2:] - values[:-2]
        inner *= np.float32(0.5)
        np.square(inner, out=inner)
        sums[1:-1] += inner
    return total


def _smooth(grey: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur of (h, w) float32, edges repeated."""
    kernel = _kernel(sigma_px)
    reach = len(kernel) - 1
    for axis in (0, 1):
        padded, length = _edges_repeated(grey, reach, axis), grey.shape[axis]
        grey = _part(padded, reach, length, axis) * kernel[0]
        for offset in range(1, reach + 1):
            sides = _part(padded, reach - offset, length, axis) + _part(padded, reach + offset, length, axis)
            sides *= kernel[offset]
            grey += sides
    return grey


def _kernel(sigma_px: float) -> np.ndarray:
    """Of a Gaussian blur: its middle and one side, up to three sigma."""
    reach = int(np.ceil(3 * sigma_px))
    kernel = np.exp(-0.5 * (np.arange(reach + 1) / sigma_px) ** 2)
    return (kernel / (2 * kernel.sum() - kernel[0])).astype(np.float32)


SMOOTHING = (_kernel(PRESMOOTH_SIGMA_PX), _kernel(float(np.hypot(PRESMOOTH_SIGMA_PX, REBLUR_SIGMA_PX))))
"""Before the known blur, and with it: one Gaussian after another is one of both variances."""


def _smooth_across(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Every second column smoothed along its row: (h, w) -> (h, w / 2), of use from the third to the third last."""
    even, odd = (np.ascontiguousarray(values[:, first::STEP_PX]) for first in (0, 1))
    lines = even.ravel(), odd.ravel()  # all rows as one line: numpy is three times faster; its ends are of no use

    def column(offset: int) -> np.ndarray:
        first = 2 + offset // STEP_PX
        return lines[offset % STEP_PX][first : first + even.size - 4]

    smooth = np.empty_like(even)
    total = smooth.reshape(-1)[2:-2]
    smooth[0, :2] = smooth[-1, -2:] = 0
    pair = np.empty_like(total)
    np.multiply(column(0), kernel[0], out=total)
    for offset in range(1, len(kernel)):
        np.add(column(offset), column(-offset), out=pair)
        pair *= kernel[offset]
        total += pair
    return smooth


def _squared_differences(values: np.ndarray) -> np.ndarray:
    """Of neighbours two pixels apart, down and across; without the `REACH_PX` left and right."""
    width = values.shape[1]
    line = values.reshape(-1)
    total, across = line[width:] - line[:-width], line[1:] - line[:-1]
    total *= total
    across *= across
    total += across[: total.size]
    total *= np.float32(1 / STEP_PX**2)
    margin = REACH_PX // STEP_PX
    return total.reshape(-1, width)[:, margin : width - margin]
