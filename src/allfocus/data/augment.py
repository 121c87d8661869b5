"""Random changes of a sample, the same for all its pictures: scale, crop, flip, rotation, colour, grain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.data.batch import Batch
from allfocus.errors import OptionError
from allfocus.simulate.sensor import display_from_linear, linear_from_display

CELL_PX = 8
"""Crops start on cells of this side, so that a map of blur radii can be cropped with the pictures."""
GRAIN_FALL, GRAIN_FREQUENCY, GRAIN_FLAT_BELOW, GRAIN_CHROMA = 1.6, 0.225, 0.06, 0.65
"""Grain on blurred places of real photos: its amplitude falls with this power of frequency. In real-val it is 6.6, 4.1,
2.9, 1.9 and 1.4 thousandths from 0.15-0.2 to 0.4-0.5 cycles per px (results/transfer_function.json)."""
LUMA = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class AugmentConfig:
    """Which changes happen, and how often.

    Attributes:
        flips: mirror up-down and left-right with a chance of one half each; a mirrored left view is a right view.
        turns: quarter turns; only where no dual-pixel views are used, whose disparity is horizontal.
        exchange_chance: how often the views are exchanged and with them the sides of the focus: what lay behind it lies
            before it. The photo stays, so this is for networks that tell the side from the views alone. Most simulated
            blur lies behind the focus; without this, always saying so is nearly right.
        reduce_chance: how often a sample is reduced in size, which also shrinks its grain, JPEG blocks and blur.
        reduce_to: range of the new size over the old one; drawn evenly, as far down as the source's samples reach.
        noise_chance: how often Gaussian noise, the same in all views, is added to the defocused pictures.
        noise_sigma: range of its standard deviation.
        grey_chance: how often a sample becomes grey (Rec. 709 weights) and brighter by another sRGB encoding, as the
            paper's code has it.
        dark_chance: how often a sample becomes darker, as a photo that was exposed for its lamps or windows is.
        dark_stops: by how many stops of light, drawn evenly.
        core_chance: how often a share of the sharp light stays inside the blur, as with spherical aberration, glare,
            or thin things before a blurred ground.
        core_share: range of that share, drawn evenly.
        texture_chance: how often faint fine structure that blur does not explain lies on the photo, as real photos
            have it (`docs/training.md`, carry-over): detail of the sample itself from another place, mirrored.
        grain_chance: how often grain lies on the photo as demosaicing, noise suppression and reduction leave it: its
            amplitude falls with frequency (`GRAIN_FALL`), and most of it is light.
        grain_sigma: range of its deviation in display values at `GRAIN_FREQUENCY`, were it as strong at each; drawn
            log-uniformly.
        grain_follows_chance: how often that grain is stronger where there is texture, as its root.
        texture_size: range of the largest deviation of it, in display values; its mean size is about a third.
    """

    flips: bool = True
    turns: bool = True
    exchange_chance: float = 0.0
    reduce_chance: float = 0.0
    reduce_to: tuple[float, float] = (0.5, 1.0)
    noise_chance: float = 0.0
    noise_sigma: tuple[float, float] = (0.001, 0.0707)
    grey_chance: float = 0.0
    dark_chance: float = 0.0
    dark_stops: tuple[float, float] = (0.5, 3.5)
    core_chance: float = 0.0
    core_share: tuple[float, float] = (0.02, 0.2)
    texture_chance: float = 0.0
    texture_size: tuple[float, float] = (0.004, 0.03)
    grain_chance: float = 0.0
    grain_sigma: tuple[float, float] = (0.001, 0.006)
    grain_follows_chance: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.reduce_to
        if not 0.125 <= low <= high <= 1:
            raise OptionError(f"reduce_to {self.reduce_to}", "two sizes from 0.125 to 1, smaller first", "0.25, 1")
        least, most = self.dark_stops
        if not 0 <= least <= most:
            raise OptionError(f"dark_stops {self.dark_stops}", "two numbers of 0 or more, smaller first", "0.5, 3.5")


@dataclass(frozen=True)
class Reduction:
    """How a sample is reduced before it is cropped: `side_px` of the source become `patch_px`."""

    side_px: int
    patch_px: int

    def __call__(self, sample: Batch) -> Batch:
        """Reduce every picture with antialiasing; blur radii shrink with them."""
        if self.side_px == self.patch_px:
            return sample
        small = _each(sample._replace(coc=None), lambda part: _resized(part, self.patch_px))
        if sample.coc is None:
            return small
        grid_px = self.side_px // sample.coc.shape[-1]
        cells = functional.interpolate(sample.coc, size=(self.patch_px // grid_px,) * 2, mode="nearest-exact")
        return small._replace(coc=cells * (self.patch_px / self.side_px))


def draw_reduction(config: AugmentConfig, rng: np.random.Generator, patch_px: int, source_px: int) -> Reduction:
    """Draw the size of what is cropped for a result of `patch_px`, at most `source_px`, the samples' shorter side."""
    if rng.random() >= config.reduce_chance:
        return Reduction(patch_px, patch_px)
    side = patch_px / rng.uniform(*config.reduce_to)
    return Reduction(max(patch_px, min(int(side), source_px) // CELL_PX * CELL_PX), patch_px)


def augment(sample: Batch, config: AugmentConfig, rng: np.random.Generator) -> Batch:
    """Mirror, turn, exchange, grey, noise, core, texture and less light, in this order; see `AugmentConfig`.

    The sample is not reduced any more; any batch is treated alike.
    """
    if config.flips and rng.random() < 0.5:
        sample = _each(sample, lambda part: part.flip(-2))
    if config.flips and rng.random() < 0.5:
        sample = _each(sample, lambda part: part.flip(-1))
        sample = sample._replace(left=sample.right, right=sample.left)
    if config.turns and sample.left is None:
        quarters = int(rng.integers(4))
        sample = _each(sample, lambda part: part.rot90(quarters, (-2, -1)))
    if config.exchange_chance and rng.random() < config.exchange_chance:
        coc = None if sample.coc is None else -sample.coc
        sample = sample._replace(left=sample.right, right=sample.left, coc=coc)
    if rng.random() < config.grey_chance:
        sample = _each(sample._replace(coc=None), _grey)._replace(coc=sample.coc)
    if rng.random() < config.noise_chance:
        sigma = rng.uniform(*config.noise_sigma)
        grain = torch.from_numpy(rng.normal(0, sigma, tuple(sample.centre.shape)).astype(np.float32))
        sample = sample._replace(
            centre=_noisy(sample.centre, grain), left=_noisy(sample.left, grain), right=_noisy(sample.right, grain)
        )
    if config.core_chance and rng.random() < config.core_chance:
        share = rng.uniform(*config.core_share)
        sample = _each_photo(sample, lambda part: _with_core(part, sample.sharp, share))
    if config.texture_chance and rng.random() < config.texture_chance:
        detail = _strange_detail(sample, rng) * rng.uniform(*config.texture_size)
        sample = _each_photo(sample, lambda part: (part + detail).clamp(0, 1))
    if config.grain_chance and rng.random() < config.grain_chance:
        low, high = np.log(config.grain_sigma)
        grain = coloured_grain(sample.centre.shape[-2:], rng).to(sample.centre.device)
        grain = grain * float(np.exp(rng.uniform(low, high)))
        if rng.random() < config.grain_follows_chance:
            grain = grain * _following_texture(sample.sharp)
        sample = _each_photo(sample, lambda part: (part + grain).clamp(0, 1))
    if rng.random() < config.dark_chance:
        light = 0.5 ** rng.uniform(*config.dark_stops)
        sample = _each(sample._replace(coc=None), lambda part: _darker(part, light))._replace(coc=sample.coc)
    return sample


def _each(sample: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    return Batch(*(None if part is None else change(part) for part in sample))  # type: ignore[arg-type]


def _each_photo(sample: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """The photo and its views changed, not what is sharp."""
    return _each(sample._replace(sharp=None, coc=None), change)._replace(sharp=sample.sharp, coc=sample.coc)  # type: ignore[arg-type]


def _with_core(blurred: Tensor, sharp: Tensor, share: float) -> Tensor:
    """Light of which a share was not blurred, in display values."""
    light = linear_from_display(blurred) * (1 - share) + linear_from_display(sharp) * share
    return display_from_linear(light)


def coloured_grain(size: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """(1, 3, H, W) of noise whose amplitude falls as a power of frequency and is 1 at `GRAIN_FREQUENCY`."""
    down, across = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None]
    frequency = np.maximum(np.hypot(down, across), GRAIN_FLAT_BELOW)
    spectra = np.fft.rfft2(rng.standard_normal((4, *size))) * (frequency / GRAIN_FREQUENCY) ** -GRAIN_FALL
    noise = np.fft.irfft2(spectra, s=size)
    mixed = (noise[:1] + GRAIN_CHROMA * noise[1:]) / np.hypot(1, GRAIN_CHROMA)
    return torch.from_numpy(mixed[None].astype(np.float32))


def _following_texture(sharp: Tensor, window_px: int = 31) -> Tensor:
    """The root of the local detail over its mean: (B, 1, H, W), from 0.3 to 3."""
    detail = (sharp - functional.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)).abs().mean(dim=1, keepdim=True)
    local = functional.avg_pool2d(detail, window_px, 1, window_px // 2, count_include_pad=False)
    return (local / local.mean().clamp(min=1e-6)).sqrt().clamp(0.3, 3)


def _strange_detail(sample: Batch, rng: np.random.Generator) -> Tensor:
    """Fine structure of the sample itself, blurred or not, moved and mirrored: (B, 3, H, W), clipped to [-1, 1].

    A difference of two means over 3 and 7 to 15 px, or of the picture and one of them; its mean size is near 1/3
    wherever the sample has any detail at all.
    """
    picture = sample.sharp if rng.random() < 0.5 else sample.centre
    fine = picture if rng.random() < 0.5 else functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
    side = 2 * int(rng.integers(1, 8)) + 1
    detail = fine - functional.avg_pool2d(fine, side, 1, side // 2, count_include_pad=False)
    if rng.random() < 0.5:  # of light alone, as most of it is
        detail = detail.mean(dim=1, keepdim=True).expand_as(detail)
    shifts = tuple(int(rng.integers(size // 8, size - size // 8)) for size in detail.shape[-2:])
    detail = detail.flip(-1 - int(rng.integers(2))).roll(shifts, dims=(-2, -1))
    return (detail / (3 * detail.abs().mean() + 1e-3)).clamp(-1, 1)


def _resized(picture: Tensor, side: int) -> Tensor:
    small = functional.interpolate(picture, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return small.clamp(0, 1)


def _noisy(picture: Tensor | None, grain: Tensor) -> Tensor | None:
    return None if picture is None else (picture + grain.to(picture.device)).clamp(0, 1)


def _grey(picture: Tensor) -> Tensor:
    weights = torch.tensor(LUMA, device=picture.device)[None, :, None, None]
    luma = (picture * weights).sum(dim=1, keepdim=True).clamp(0, 1)
    return display_from_linear(luma).expand(-1, 3, -1, -1)


def _darker(picture: Tensor, light: float) -> Tensor:
    return display_from_linear(linear_from_display(picture) * light)
