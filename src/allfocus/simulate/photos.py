"""A pool of sharp photos to cut scenes from."""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.errors import DataError
from allfocus.photo.formats import PHOTO_EXTENSIONS, WRITABLE_EXTENSIONS
from allfocus.simulate.depth import DepthMaps

_CELL_PX = 16
_HALF_TURNS = 4
"""Largest EXIF orientation that keeps width and height."""


@dataclass(frozen=True)
class Place:
    """Where a square texture comes from.

    Attributes:
        index: the photo's number in its pool.
        top, left, height, width: the part of the photo that is used, in its own px.
        scale: px of the texture for one px of the photo.
        flipped: whether left and right are exchanged.
    """

    index: int
    top: int
    left: int
    height: int
    width: int
    scale: float
    flipped: bool = False


class PhotoPool:
    """Sharp photos, decoded when first needed and then kept up to a limit.

    Args:
        source: a folder (searched with its sub-folders, in sorted order), or a list of paths, or a list of arrays
            uint8 (H, W, 3) or (H, W), display-referred sRGB.
        cache_bytes: how much decoded picture is kept; the oldest goes first.
        longest_px: a photo with a longer side is reduced to this when decoded, which also hides grain and JPEG blocks.
        least_px: photos with a shorter side (after that reduction) are skipped and named in `skipped`.
        verify: decode every photo (and its depth map) once to find damaged ones, which are then skipped too; otherwise
            only headers are read here and a damaged photo is an error when it is first needed.
        depth: maps for scenes of a single photo; photos without one are skipped.

    Raises:
        DataError: no photo of the source can be used.
    """

    def __init__(
        self,
        source: str | Path | Sequence[str | Path] | Sequence[np.ndarray],
        *,
        cache_bytes: int = 1 << 29,
        longest_px: int = 2048,
        least_px: int = 128,
        verify: bool = False,
        depth: DepthMaps | None = None,
    ) -> None:
        self.skipped: list[str] = []
        self.depth = depth
        self._cache_bytes = cache_bytes
        self._longest_px = longest_px
        self._cache: OrderedDict[int, tuple[Tensor, np.ndarray]] = OrderedDict()
        self._held_bytes = 0
        self._sources: list[Path | np.ndarray] = []
        self.names: list[str] = []
        for number, item in enumerate(_candidates(source)):
            name = f"array {number}" if isinstance(item, np.ndarray) else item.name
            reason = self._unusable(item, least_px, verify)
            if reason:
                self.skipped.append(f"{name}: {reason}")
            else:
                self._sources.append(item)
                self.names.append(name)
        if not self._sources:
            shown = "; ".join(self.skipped[:3]) or "nothing found"
            more = f"; and {len(self.skipped) - 3} more" if len(self.skipped) > 3 else ""
            raise DataError(
                f"no usable photo ({len(self.skipped)} skipped: {shown}{more})",
                f"sharp photos of at least {least_px} x {least_px} px",
                "another folder, or larger photos",
            )

    @property
    def paths(self) -> list[Path]:
        """Files of the photos in use, in the order of `names` (arrays are left out)."""
        return [source for source in self._sources if isinstance(source, Path)]

    def __len__(self) -> int:
        return len(self._sources)

    def photo(self, index: int) -> Tensor:
        """Decode one photo: uint8 (3, H, W), display-referred sRGB."""
        return self._held(index)[0]

    def detail(self, index: int) -> np.ndarray:
        """Mean gradient (levels of 255 per px) over cells of 16 x 16 px: float32 (ceil(H/16), ceil(W/16))."""
        return self._held(index)[1]

    def draw(
        self,
        rng: np.random.Generator,
        size_px: int,
        *,
        covered_px: int,
        rescale: tuple[float, float],
        detail_chance: float,
    ) -> Place:
        """Choose a square of a random photo.

        Args:
            rng: draws the photo, the scale, the place and the flip.
            size_px: side of the square after scaling.
            covered_px: side of the middle part that the photo should cover without mirroring where it can.
            rescale: range of the scale, result px per photo px.
            detail_chance: chance to keep the one with most gradient out of three draws.
        """
        draws = [self._draw(rng, size_px, covered_px, rescale) for _ in range(3)]
        chosen = max(draws, key=self._draw_detail) if rng.random() < detail_chance else draws[0]
        return dataclasses.replace(chosen, flipped=bool(rng.random() < 0.5))

    def texture(self, place: Place, size_px: int, device: torch.device) -> Tensor:
        """Cut a display-referred square out, reduced or enlarged with antialiasing, mirrored where the photo ends."""
        rows, columns = _window(place)
        region = self.photo(place.index)[:, rows, columns].to(device)
        target = _scaled(place)
        if target != (place.height, place.width):
            region = functional.interpolate(
                region[None].float(), size=target, mode="bicubic", antialias=True, align_corners=False
            )[0]
        return (_squared(region, place, size_px).float() / 255.0).clamp_(0.0, 1.0)

    def nearness(self, place: Place, size_px: int, device: torch.device) -> Tensor | None:
        """Inverse depth of the same square, 0 far to 1 near over the photo: float32 (size, size); None without maps."""
        if self.depth is None:
            return None
        height, width = self.photo(place.index).shape[1:]
        rows, columns = _window(place)
        whole = self.depth.nearness(self.names[place.index], height, width)
        region = torch.from_numpy(whole)[None, None, rows, columns].to(device)
        return _squared(functional.interpolate(region, size=_scaled(place), mode="nearest-exact")[0], place, size_px)[0]

    def _draw(self, rng: np.random.Generator, size_px: int, covered_px: int, rescale: tuple[float, float]) -> Place:
        index = int(rng.integers(len(self)))
        photo_height, photo_width = self.photo(index).shape[1:]
        low = min(max(rescale[0], covered_px / min(photo_height, photo_width)), rescale[1])
        scale = float(rng.uniform(low, rescale[1]))
        side = math.ceil(size_px / scale)
        height, width = min(side, photo_height), min(side, photo_width)
        top = int(rng.integers(photo_height - height + 1))
        left = int(rng.integers(photo_width - width + 1))
        return Place(index, top, left, height, width, scale)

    def _draw_detail(self, place: Place) -> float:
        top, left = place.top, place.left
        rows = slice(top // _CELL_PX, max(top // _CELL_PX + 1, (top + place.height) // _CELL_PX))
        columns = slice(left // _CELL_PX, max(left // _CELL_PX + 1, (left + place.width) // _CELL_PX))
        return float(self.detail(place.index)[rows, columns].mean()) / place.scale

    def _unusable(self, item: Path | np.ndarray, least_px: int, verify: bool) -> str:
        """Why a photo cannot be used; empty when it can."""
        if isinstance(item, Path) and item.suffix.lower() not in WRITABLE_EXTENSIONS:
            return "a format that is not read here; convert it to TIFF, PNG or JPEG"
        height, width = item.shape[:2] if isinstance(item, np.ndarray) else _header(item)
        if height == 0:
            return "cannot be read"
        shrunk = min(1.0, self._longest_px / max(height, width))
        if min(height, width) * shrunk < least_px:
            used = f" (used at {round(width * shrunk)} x {round(height * shrunk)})" if shrunk < 1.0 else ""
            return f"{width} x {height} px{used}, needs at least {least_px} x {least_px}"
        if verify and isinstance(item, Path) and not _whole(item):
            return "damaged"
        if self.depth is None or not isinstance(item, Path):
            return ""
        if not verify:
            return "" if item.name in self.depth else "no depth map of its name"
        return self.depth.unusable(item.name, height, width)

    def _held(self, index: int) -> tuple[Tensor, np.ndarray]:
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        source = self._sources[index]
        pixels = _rgb(source) if isinstance(source, np.ndarray) else _decode(source, self._longest_px)
        entry = (torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), _detail(pixels))
        self._cache[index] = entry
        self._held_bytes += pixels.nbytes
        while self._held_bytes > self._cache_bytes and len(self._cache) > 1:
            _, (oldest, _) = self._cache.popitem(last=False)
            self._held_bytes -= oldest.numel()
        return entry


def _candidates(source: str | Path | Sequence[str | Path] | Sequence[np.ndarray]) -> list[Path | np.ndarray]:
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder", "a folder of sharp photos", "check the path")
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_EXTENSIONS)
    return [item if isinstance(item, np.ndarray) else Path(item) for item in source]


def _header(path: Path) -> tuple[int, int]:
    """Height and width of the upright photo without decoding; (0, 0) when the file cannot be read."""
    try:
        image = pyvips.Image.new_from_file(str(path))
    except pyvips.Error:
        return 0, 0
    height, width = int(image.height), int(image.width)  # type: ignore[arg-type]
    turned = image.get_typeof("orientation") != 0 and int(str(image.get("orientation"))) > _HALF_TURNS
    return (width, height) if turned else (height, width)


def _whole(path: Path) -> bool:
    """Whether all of a photo can be decoded (reduced while decoding where its format allows, which is quick)."""
    try:
        pyvips.Image.thumbnail(str(path), 64, size="down", fail_on="truncated").avg()  # type: ignore[union-attr]
    except pyvips.Error:
        return False
    return True


def _decode(path: Path, longest_px: int) -> np.ndarray:
    try:
        image = pyvips.Image.thumbnail(str(path), longest_px, size="down", export_profile="srgb", fail_on="truncated")  # type: ignore[call-arg]
        image = image.colourspace("srgb")  # type: ignore[union-attr]
        opaque = image.flatten(background=0) if image.hasalpha() else image
        return _rgb(np.asarray(opaque.cast("uchar").numpy()))
    except pyvips.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path.name} cannot be decoded ({reason})", "a readable photo", "remove it") from error


def _rgb(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] < 3:
        pixels = np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def _detail(pixels: np.ndarray) -> np.ndarray:
    grey = pixels.astype(np.float32).mean(axis=2)
    gradient = np.zeros_like(grey)
    gradient[:, 1:] += np.abs(np.diff(grey, axis=1))
    gradient[1:] += np.abs(np.diff(grey, axis=0))
    height, width = (math.ceil(length / _CELL_PX) for length in grey.shape)
    padded = np.pad(gradient, ((0, height * _CELL_PX - grey.shape[0]), (0, width * _CELL_PX - grey.shape[1])), "edge")
    return padded.reshape(height, _CELL_PX, width, _CELL_PX).mean(axis=(1, 3))


def _window(place: Place) -> tuple[slice, slice]:
    return slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)


def _scaled(place: Place) -> tuple[int, int]:
    """Height and width of the part after scaling."""
    return max(1, round(place.height * place.scale)), max(1, round(place.width * place.scale))


def _squared(region: Tensor, place: Place, size_px: int) -> Tensor:
    """Bring a scaled part (C, h, w) to the square (C, size, size), flipped if the place says so."""
    rows, columns = (_mirrored(size_px, length, region.device) for length in region.shape[1:])
    return region[:, rows][:, :, columns.flip(0) if place.flipped else columns]


def _mirrored(size_px: int, length: int, device: torch.device) -> Tensor:
    """Row numbers that centre `length` rows in `size_px` and mirror beyond them."""
    rows = torch.arange(size_px, device=device) - (size_px - length) // 2
    rows = rows % (2 * length)
    return torch.where(rows < length, rows, 2 * length - 1 - rows)
