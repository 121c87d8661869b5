"""A pool of sharp photos that scenes are cut from."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyvips
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.errors import DataError

_SUFFIXES = frozenset({".avif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
_CELL_PX = 16


class PhotoPool:
    """Sharp photos, decoded when first needed and then kept up to a limit.

    Args:
        source: a folder (searched with its sub-folders, in sorted order), or a list of paths, or a list of arrays
            uint8 (H, W, 3) or (H, W), display-referred sRGB.
        cache_bytes: how much decoded picture is kept; the oldest goes first.
        longest_px: a photo with a longer side is reduced to this when decoded, which also hides grain and JPEG blocks.
        least_px: photos with a shorter side are skipped and named in `skipped`.

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
    ) -> None:
        self.skipped: list[str] = []
        self._cache_bytes = cache_bytes
        self._longest_px = longest_px
        self._cache: OrderedDict[int, tuple[Tensor, np.ndarray]] = OrderedDict()
        self._held_bytes = 0
        self._sources: list[Path | np.ndarray] = []
        self.names: list[str] = []
        for number, item in enumerate(_candidates(source)):
            name = f"array {number}" if isinstance(item, np.ndarray) else item.name
            height, width = item.shape[:2] if isinstance(item, np.ndarray) else _header(item)
            if height == 0:
                self.skipped.append(f"{name}: cannot be read")
            elif min(height, width) < least_px:
                self.skipped.append(f"{name}: {width} x {height}, needs {least_px} x {least_px}")
            else:
                self._sources.append(item)
                self.names.append(name)
        if not self._sources:
            raise DataError(
                f"no usable photo ({len(self.skipped)} skipped: {'; '.join(self.skipped[:3]) or 'nothing found'})",
                f"sharp photos of at least {least_px} x {least_px} px",
                "another folder, or larger photos",
            )

    def __len__(self) -> int:
        return len(self._sources)

    def photo(self, index: int) -> Tensor:
        """Decode one photo: uint8 (3, H, W), display-referred sRGB."""
        return self._held(index)[0]

    def detail(self, index: int) -> np.ndarray:
        """Mean gradient (levels of 255 per px) over cells of 16 x 16 px: float32 (ceil(H/16), ceil(W/16))."""
        return self._held(index)[1]

    def texture(
        self,
        rng: np.random.Generator,
        size_px: int,
        *,
        covered_px: int,
        rescale: tuple[float, float],
        detail_chance: float,
        device: torch.device,
    ) -> tuple[Tensor, dict[str, object]]:
        """Cut a square from a random photo, reduced or enlarged with antialiasing.

        Args:
            rng: draws the photo, the scale, the place and the flip.
            size_px: side of the result; where the photo ends it is mirrored.
            covered_px: side of the middle part that the photo should cover without mirroring where it can.
            rescale: range of the scale, result px per photo px.
            detail_chance: chance to keep the one with most gradient out of three draws.
            device: where the result lives.

        Returns:
            float32 (3, size, size) in [0, 1], display-referred, and what was drawn.
        """
        draws = [self._draw(rng, size_px, covered_px, rescale) for _ in range(3)]
        chosen = max(draws, key=self._draw_detail) if rng.random() < detail_chance else draws[0]
        index, top, left, height, width, scale = chosen
        region = self.photo(index)[:, top : top + height, left : left + width].to(device)
        target = (max(1, round(height * scale)), max(1, round(width * scale)))
        if target != (height, width):
            region = functional.interpolate(
                region[None].float(), size=target, mode="bicubic", antialias=True, align_corners=False
            )[0]
        flipped = bool(rng.random() < 0.5)
        rows, columns = (_mirrored(size_px, length, device) for length in target)
        region = region[:, rows][:, :, columns.flip(0) if flipped else columns]
        place: dict[str, object] = {"photo": self.names[index], "top": top, "left": left, "scale": scale}
        return (region.float() / 255.0).clamp_(0.0, 1.0), place | {"flipped": flipped}

    def _draw(
        self, rng: np.random.Generator, size_px: int, covered_px: int, rescale: tuple[float, float]
    ) -> tuple[int, int, int, int, int, float]:
        index = int(rng.integers(len(self)))
        photo_height, photo_width = self.photo(index).shape[1:]
        low = min(max(rescale[0], covered_px / min(photo_height, photo_width)), rescale[1])
        scale = float(rng.uniform(low, rescale[1]))
        side = math.ceil(size_px / scale)
        height, width = min(side, photo_height), min(side, photo_width)
        top = int(rng.integers(photo_height - height + 1))
        left = int(rng.integers(photo_width - width + 1))
        return index, top, left, height, width, scale

    def _draw_detail(self, draw: tuple[int, int, int, int, int, float]) -> float:
        index, top, left, height, width, scale = draw
        rows = slice(top // _CELL_PX, max(top // _CELL_PX + 1, (top + height) // _CELL_PX))
        columns = slice(left // _CELL_PX, max(left // _CELL_PX + 1, (left + width) // _CELL_PX))
        return float(self.detail(index)[rows, columns].mean()) / scale

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
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    return [item if isinstance(item, np.ndarray) else Path(item) for item in source]


def _header(path: Path) -> tuple[int, int]:
    """Height and width without decoding; (0, 0) when the file cannot be read."""
    try:
        image = pyvips.Image.new_from_file(str(path))
    except pyvips.Error:
        return 0, 0
    return int(image.height), int(image.width)  # type: ignore[arg-type]


def _decode(path: Path, longest_px: int) -> np.ndarray:
    try:
        image = pyvips.Image.thumbnail(str(path), longest_px, size="down", export_profile="srgb")
        image = image.colourspace("srgb")  # type: ignore[union-attr]
        opaque = image.flatten(background=0) if image.hasalpha() else image
        return _rgb(np.asarray(opaque.cast("uchar").numpy()))
    except pyvips.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path.name} cannot be decoded ({reason})", "a readable photo", "take it out") from error


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


def _mirrored(size_px: int, length: int, device: torch.device) -> Tensor:
    """Row numbers that centre `length` rows in `size_px` and mirror beyond them."""
    rows = torch.arange(size_px, device=device) - (size_px - length) // 2
    rows = rows % (2 * length)
    return torch.where(rows < length, rows, 2 * length - 1 - rows)
