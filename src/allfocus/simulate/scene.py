"""Scenes: sharp surfaces at invented depths, each complete behind its occluders, and where the lens is focused."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from allfocus.errors import OptionError
from allfocus.simulate.depth import bumps, by_light, relief
from allfocus.simulate.drawings import draw_print
from allfocus.simulate.masks import OUTLINES, outline, segment, softened
from allfocus.simulate.photo_surfaces import extended, fill, labels_by_depth
from allfocus.simulate.photos import PhotoPool, Place
from allfocus.simulate.sensor import linear_from_display
from allfocus.simulate.surface import Surface

_LEAST_REACH = 0.1
"""Of the depth range of a measured photo: less depth than that in a crop is not stretched to the full blur."""


@dataclass(frozen=True)
class SceneConfig:
    """How scenes are drawn.

    Attributes:
        composite, single, plane, identity: weights of the modes: cut-outs from other photos before a background; one
            photo with its own depth map, or invented depth where there is none; one photo at one depth; everything in
            focus.
        objects: weights of 0, 1, 2, 3 cut-outs in a composite.
        radius_median_px, radius_spread, radius_px: largest blur radius of a scene, at 1680 px width: log-normal
            (median, deviation of the logarithm), clipped to the range.
        tail_chance, tail_px: chance of a larger radius, uniform from the clip to this.
        focus_nearest, focus_other: chance that the nearest surface, or any other one, is in focus.
        focus_beyond: chance that everything lies behind the focus plane; otherwise focus lies anywhere in the scene.
        ramp_chance: chance that a background recedes.
        ramp: range of a background's change of inverse depth over the crop, in units of the scene's range.
        slant_chance: chance that a cut-out is slanted.
        rough_chance: chance that the surfaces of a scene without a depth map are rough.
        rough: range of the deviation of their inverse depth, in units of the scene's range, log-uniform.
        segment_chance: chance that a cut-out follows the edges of its photo.
        outlines: weights of the other outlines: blob, bars, foliage, card.
        rescale: range of the scale at which photos are used.
        detail_chance: chance to prefer crops with much gradient.
        print_chance: chance that a background or a cut-out is printed with text, stripes or checks.
        grey_chance, permute_chance: chance of a grey scene, and of exchanged colour channels.
        highlight_gain: largest extension of bright areas beyond white.
    """

    composite: float = 0.70
    single: float = 0.20
    plane: float = 0.07
    identity: float = 0.03
    objects: tuple[float, float, float, float] = (0.15, 0.30, 0.35, 0.20)
    radius_median_px: float = 9.5
    radius_spread: float = 0.4
    radius_px: tuple[float, float] = (1.5, 16.0)
    tail_chance: float = 0.05
    tail_px: float = 30.0
    focus_nearest: float = 0.38
    focus_other: float = 0.30
    focus_beyond: float = 0.22
    ramp_chance: float = 0.6
    ramp: tuple[float, float] = (0.1, 0.8)
    slant_chance: float = 0.3
    rough_chance: float = 0.0
    rough: tuple[float, float] = (0.02, 0.2)
    segment_chance: float = 0.4
    outlines: tuple[float, float, float, float] = (0.4, 0.2, 0.15, 0.25)
    rescale: tuple[float, float] = (0.5, 1.0)
    detail_chance: float = 0.7
    print_chance: float = 0.08
    grey_chance: float = 0.15
    permute_chance: float = 0.1
    highlight_gain: float = 1.0

    def __post_init__(self) -> None:
        modes = (self.composite, self.single, self.plane, self.identity)
        for name, weights in (("mode", modes), ("objects", self.objects), ("outlines", self.outlines)):
            if min(weights) < 0.0 or sum(weights) <= 0.0:
                raise OptionError(f"{name} weights {weights}", "none negative and not all zero", "correct the settings")


@dataclass(frozen=True)
class Scene:
    """Surfaces back to front, and everything that was drawn for them (ready for JSON)."""

    surfaces: tuple[Surface, ...]
    parameters: dict[str, object]


@dataclass(frozen=True)
class _Unfocused:
    """A surface before the lens is focused: linear colour, coverage and inverse depth over the canvas."""

    rgb_linear: Tensor
    alpha: Tensor | None
    nearness: Tensor
    middle: float


class _SceneBuilder:
    """Draws textures, and surfaces from them, for one scene."""

    def __init__(
        self, rng: np.random.Generator, pool: PhotoPool, config: SceneConfig, canvas_px: int, crop_px: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.rng, self.pool, self.config, self.device = rng, pool, config, device
        self.canvas_px, self.crop_px = canvas_px, crop_px
        self.grey = bool(rng.random() < config.grey_chance)
        permuted = rng.permutation(3).tolist()
        self.channels = permuted if rng.random() < config.permute_chance else [0, 1, 2]
        self.highlight_gain = float(rng.uniform(0.0, config.highlight_gain))
        self.roughness = rng.spawn(1)[0]  # of its own: a scene with rough surfaces is otherwise the same as without
        self.rough = bool(self.roughness.random() < config.rough_chance)
        self.places: list[Place] = []
        self.prints: dict[int, str] = {}
        self.heights: list[float] = []

    def display(self, *, printable: bool = True) -> Tensor:
        place = self.pool.draw(
            self.rng, self.canvas_px, covered_px=self.crop_px, rescale=self.config.rescale,
            detail_chance=self.config.detail_chance,
        )  # fmt: skip
        self.places.append(place)
        texture = self.pool.texture(place, self.canvas_px, self.device)
        if printable and self.config.print_chance and self.rng.random() < self.config.print_chance:
            texture, self.prints[len(self.places) - 1] = draw_print(self.rng, texture)
        if self.grey:
            weights = torch.tensor([0.299, 0.587, 0.114], device=self.device)
            return (texture * weights[:, None, None]).sum(dim=0, keepdim=True).expand(3, -1, -1)
        return texture if self.channels == [0, 1, 2] else texture[self.channels]

    def linear(self, display: Tensor) -> Tensor:
        excess = ((display.amax(dim=0) - 0.85) / 0.15).clamp_min_(0.0)
        return linear_from_display(display) * (1.0 + self.highlight_gain * excess**2)

    def relief(self, chance: float, span_px: float, change: float) -> Tensor:
        kind = "flat"
        if self.rng.random() < chance:
            kind = str(self.rng.choice(["ground", "slanted", "rolling"], p=[0.6, 0.25, 0.15]))
        return relief(self.rng, kind, self.canvas_px, span_px, change, self.device)

    def background(self, display: Tensor, middle: float = 0.0) -> _Unfocused:
        change = float(self.rng.uniform(*self.config.ramp))
        rises = self.relief(self.config.ramp_chance, self.crop_px, change)
        return _Unfocused(self.linear(display), None, self.roughened(rises + middle, display), middle)

    def roughened(self, nearness: Tensor, display: Tensor) -> Tensor:
        """Inverse depth with bumps, or with gaps where the picture is dark, if the scene's surfaces are rough."""
        if not self.rough:
            return nearness
        low, high = self.config.rough
        self.heights.append(low * (high / low) ** float(self.roughness.random()))
        bumpy = self.roughness.random() < 0.5
        heights = bumps(self.roughness, self.canvas_px, self.device) if bumpy else by_light(display)
        return nearness + self.heights[-1] * heights

    def photos(self) -> list[dict[str, object]]:
        """The source of every texture, ready for JSON."""
        return [
            {
                "photo": self.pool.names[one.index],
                "top": one.top,
                "left": one.left,
                "scale": one.scale,
                "flipped": one.flipped,
                **({"printed": self.prints[number]} if number in self.prints else {}),
            }
            for number, one in enumerate(self.places)
        ]

    def measured(self, display: Tensor) -> list[_Unfocused] | None:
        """The last photo as surfaces, parted at the gaps of its depth map; None without a map."""
        nearness = self.pool.nearness(self.places[-1], self.canvas_px, self.device)
        if nearness is None:
            return None
        labels, rgb_linear = labels_by_depth(nearness), self.linear(display)
        reach_px = (self.canvas_px - self.crop_px) // 2
        both = torch.cat([rgb_linear, nearness[None]])
        parts = []
        for label in range(int(labels.max()) + 1):
            own = labels == label
            filled = torch.where(own, both, fill(both, own.float()))
            alpha = None if label == 0 else softened(extended(own, labels > label, reach_px))
            parts.append(_Unfocused(filled[:3], alpha, filled[3], float(nearness[own].mean())))
        return parts

    def cut_out(self, middle: float) -> _Unfocused:
        display = self.display()
        if self.rng.random() < self.config.segment_chance:
            alpha = segment(self.rng, display)
        else:
            kind = str(self.rng.choice(OUTLINES, p=np.array(self.config.outlines) / sum(self.config.outlines)))
            alpha, _ = outline(self.rng, kind, self.canvas_px, self.crop_px / 2.0, self.device)
        rises = self.relief(self.config.slant_chance, self.crop_px, float(self.rng.uniform(0.05, 0.4)))
        return _Unfocused(self.linear(display), alpha, self.roughened(rises + middle, display), middle)


def draw_scene(
    rng: np.random.Generator,
    pool: PhotoPool,
    config: SceneConfig,
    *,
    canvas_px: int,
    crop_px: int,
    resolution_scale: float,
    largest_px: float,
    device: torch.device,
) -> Scene:
    """Draw one scene and focus on it.

    Args:
        rng: the source of chance.
        pool: sharp photos.
        config: the distributions.
        canvas_px: side of the square canvas; crop_px: side of the middle part that is kept.
        resolution_scale: width of the imagined picture over 1680 px; blur radii are scaled by it.
        largest_px: no blur radius is larger than this.
        device: where the surfaces live.

    Returns:
        Surfaces with blur radii; in an identity scene they are exactly zero.
    """
    modes = ("composite", "single", "plane", "identity")
    weights = np.array([config.composite, config.single, config.plane, config.identity])
    mode = str(rng.choice(modes, p=weights / weights.sum()))
    builder = _SceneBuilder(rng, pool, config, canvas_px, crop_px, device)
    unfocused = _draw_surfaces(rng, mode, builder, config)
    radius_px = _largest_radius(rng, config) * resolution_scale
    inside = slice((canvas_px - crop_px) // 2, (canvas_px + crop_px) // 2)
    focus, chosen = _focus(rng, mode, unfocused, config, inside)
    if mode == "identity":
        radius_px = 0.0
    reach = max(float((focus - one.nearness[inside, inside]).abs().max()) for one in unfocused)
    scale_px = radius_px / max(reach, 1e-6 if pool.depth is None else _LEAST_REACH)
    surfaces = tuple(
        Surface(one.rgb_linear, one.alpha, ((focus - one.nearness) * scale_px).clamp_(-largest_px, largest_px))
        for one in unfocused
    )
    parameters: dict[str, object] = {
        "mode": mode,
        "surfaces": len(surfaces),
        "largest_radius_px": radius_px,
        "focus": chosen,
        "grey": builder.grey,
        "channels": builder.channels,
        "highlight_gain": builder.highlight_gain,
        "photos": builder.photos(),
        **({"rough": builder.heights} if builder.rough else {}),
    }
    return Scene(surfaces, parameters)


def _draw_surfaces(
    rng: np.random.Generator, mode: str, builder: _SceneBuilder, config: SceneConfig
) -> list[_Unfocused]:
    display = builder.display(printable=mode != "single")
    if mode in ("plane", "identity"):
        flat = torch.zeros_like(display[0])
        return [_Unfocused(builder.linear(display), None, builder.roughened(flat, display), 0.0)]
    measured = builder.measured(display) if mode == "single" else None
    if measured is not None:
        return measured
    background = builder.background(display)
    if mode == "single":
        if rng.random() < 0.5:
            return [background]
        alpha = segment(rng, display)
        middle = float(rng.uniform(0.2, 1.0))
        rises = builder.relief(config.slant_chance, builder.crop_px, float(rng.uniform(0.05, 0.4)))
        filled = fill(background.rgb_linear, 1.0 - alpha)
        behind = _Unfocused(filled, None, background.nearness, background.middle)
        own = builder.roughened(rises + middle, display)
        return [behind, _Unfocused(background.rgb_linear, alpha, own, middle)]
    count = int(rng.choice(len(config.objects), p=np.array(config.objects) / sum(config.objects)))
    nearness = sorted(float(value) for value in rng.uniform(0.25, 1.0, count))
    return [background, *(builder.cut_out(middle) for middle in nearness)]


def _largest_radius(rng: np.random.Generator, config: SceneConfig) -> float:
    low, high = config.radius_px
    radius_px = config.radius_median_px * math.exp(config.radius_spread * float(rng.standard_normal()))
    tail_px = float(rng.uniform(high, max(high, config.tail_px)))
    return tail_px if rng.random() < config.tail_chance else min(max(radius_px, low), high)


def _focus(
    rng: np.random.Generator, mode: str, unfocused: list[_Unfocused], config: SceneConfig, inside: slice
) -> tuple[float, str]:
    """Choose the inverse depth in focus, and name the choice."""
    draw, place = float(rng.random()), float(rng.random())
    row, column = (int(value) for value in rng.integers(inside.start, inside.stop, 2))
    if mode in ("plane", "identity"):
        return (1.0, "beyond") if draw < 0.75 else (-1.0, "before")
    near = max(float(one.nearness[inside, inside].max()) for one in unfocused)
    far = min(float(one.nearness[inside, inside].min()) for one in unfocused)
    if draw < config.focus_nearest:
        return float(unfocused[-1].nearness[row, column]), "nearest"
    if draw < config.focus_nearest + config.focus_other:
        other = unfocused[min(int(place * len(unfocused)), len(unfocused) - 1)]
        return float(other.nearness[row, column]), "surface"
    extent = max(near - far, 0.3)
    if draw < config.focus_nearest + config.focus_other + config.focus_beyond:
        return near + place * extent, "beyond"
    return far + place * (near - far), "between"
