"""The simulator: seeds in, dual-pixel quadruples out."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.errors import OptionError
from allfocus.simulate.lens import Lens, LensConfig, draw_lens
from allfocus.simulate.masks import pixel_grid
from allfocus.simulate.photos import PhotoPool
from allfocus.simulate.render import render, render_without_occlusion
from allfocus.simulate.scene import SceneConfig, draw_scene
from allfocus.simulate.sensor import (
    Sensor,
    SensorConfig,
    develop,
    display_from_linear,
    draw_sensor,
    enlarged,
    expose,
    jpeg,
    linear_from_display,
    quantise,
    reduced,
)
from allfocus.simulate.surface import Surface, compose, valid_mask, visible_coc

_REFERENCE_WIDTH_PX, _REFERENCE_HEIGHT_PX = 1680, 1120
REDUCTIONS = (1, 2, 4)


@dataclass(frozen=True)
class SimulatorConfig:
    """Everything that decides what a seed becomes.

    Attributes:
        crop_px: side of the square pictures.
        margin_px: real content around the crop that is rendered and cut off; radii stay below it by 2 px.
        resolution_scale: range of the imagined picture's width over 1680 px; blur radii are scaled by it.
        reductions: weights of pictures as they were developed, and reduced by 2 and by 4 afterwards, which leaves less
            of noise, sharpening and JPEG blocks; radii are those of the picture that is written.
        levels, object_levels: most tent levels of a background and of a cut-out.
        linear_light, occlusion: false blurs display values instead of light, or the finished picture instead of each
            surface, as simpler simulators do; for comparisons.
        scene, lens, sensor: the distributions of each.
    """

    crop_px: int = 256
    margin_px: int = 32
    resolution_scale: tuple[float, float] = (0.5, 0.9)
    reductions: tuple[float, float, float] = (0.7, 0.2, 0.1)
    levels: int = 6
    object_levels: int = 3
    linear_light: bool = True
    occlusion: bool = True
    scene: SceneConfig = field(default_factory=SceneConfig)
    lens: LensConfig = field(default_factory=LensConfig)
    sensor: SensorConfig = field(default_factory=SensorConfig)

    def __post_init__(self) -> None:
        if min(self.reductions) < 0.0 or sum(self.reductions) <= 0.0:
            raise OptionError(f"reductions {self.reductions}", "none negative and not all zero", "correct the settings")

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SimulatorConfig:
        """Build from plain values; what is left out keeps its default. OptionError: a name that is not a field."""
        return _build(cls, values, "")

    @classmethod
    def load(cls, path: str | Path) -> SimulatorConfig:
        """Read a JSON file as `from_dict` does.

        Raises:
            OptionError: the file cannot be read, is not JSON, or has an unknown name.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OptionError(f"{path}: {error}", "a JSON file with simulator settings", "check the file") from error
        return cls.from_dict(values)


@dataclass(frozen=True)
class Quadruples:
    """A batch of rendered samples; every picture is float32 (B, 3, H, W) in [0, 1], display-referred.

    Attributes:
        centre, left, right: the defocused views.
        sharp: the noise-free scene without blur, through the same development.
        coc: float32 (B, 1, H, W), signed blur radius in px, positive behind the focus plane.
        disparity: float32 (B, 1, H, W), px; right(x + disparity) matches left(x) by centroid: kappa * coc / 2.
        valid: bool (B, 1, H, W), where coc and disparity describe what is seen.
        parameters: everything drawn for each sample, ready for JSON.
    """

    centre: Tensor
    left: Tensor
    right: Tensor
    sharp: Tensor
    coc: Tensor
    disparity: Tensor
    valid: Tensor
    parameters: list[dict[str, object]]


@dataclass(frozen=True)
class Shot:
    """Everything that a seed decides before light is blurred; `Simulator.take` makes the pictures.

    Attributes:
        surfaces: back to front over the canvas, with their blur radii.
        lens, sensor: as drawn.
        reduction: how many px of the developed picture make one of the result, each way.
        half_diagonal_px: from the middle of the imagined picture to its corner.
        noise: draws the noise; used up by taking the shot.
        parameters: everything drawn, ready for JSON.
    """

    surfaces: tuple[Surface, ...]
    lens: Lens
    sensor: Sensor
    reduction: int
    half_diagonal_px: float
    noise: np.random.Generator
    parameters: dict[str, object]


class Simulator:
    """Renders quadruples; what a seed becomes depends on the config and the photos alone, never on the batch."""

    def __init__(self, config: SimulatorConfig, photos: PhotoPool, device: str | torch.device = "cpu") -> None:
        self.config = config
        self.photos = photos
        self.device = torch.device(device)

    def sample(self, seeds: Sequence[int]) -> Quadruples:
        """Render one quadruple for each seed (integers >= 0)."""
        return self.develop([self.plan(int(seed)) for seed in seeds])

    def develop(self, shots: Sequence[Shot]) -> Quadruples:
        """Render planned shots, each once."""
        with torch.no_grad():
            samples = [self._take(shot) for shot in shots]
        columns = [torch.stack(column) for column in zip(*samples, strict=True)]
        return Quadruples(*columns, parameters=[shot.parameters for shot in shots])

    @torch.no_grad()
    def plan(self, seed: int) -> Shot:
        """Draw scene, lens and sensor of a seed without rendering them."""
        config = self.config
        streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
        for_picture, for_scene, for_lens, for_sensor = streams
        resolution_scale = float(for_picture.uniform(*config.resolution_scale))
        reduction = int(for_picture.choice(REDUCTIONS, p=np.array(config.reductions) / sum(config.reductions)))
        canvas_px = config.crop_px + 2 * config.margin_px
        largest_px = config.margin_px - 2.0
        scene = draw_scene(
            for_scene, self.photos, config.scene, canvas_px=canvas_px, crop_px=config.crop_px,
            resolution_scale=resolution_scale, largest_px=largest_px, device=self.device,
        )  # fmt: skip
        lens = draw_lens(for_lens, config.lens, resolution_scale)
        half_diagonal_px = math.hypot(_REFERENCE_WIDTH_PX, _REFERENCE_HEIGHT_PX) / 2.0 * resolution_scale
        surfaces = scene.surfaces
        if scene.parameters["mode"] == "identity":
            lens = dataclasses.replace(
                lens, softness_px=0.0, longitudinal_ca_px=(0.0, 0.0), field_curvature_px=0.0,
                coma_px=0.0, astigmatism_px=0.0,
            )  # fmt: skip
        else:
            largest_px -= lens.stray_px
            bend = _field_squared(canvas_px, lens.field_x, lens.field_y, half_diagonal_px, self.device)
            surfaces = tuple(_curved(surface, bend * lens.field_curvature_px, largest_px) for surface in surfaces)
        sensor = draw_sensor(for_sensor, config.sensor)
        parameters: dict[str, object] = {
            "seed": seed,
            "resolution_scale": resolution_scale,
            "reduction": reduction,
            "scene": scene.parameters,
            "lens": lens.parameters(),
            "sensor": sensor.parameters(),
        }
        return Shot(surfaces, lens, sensor, reduction, half_diagonal_px, for_sensor, parameters)

    def _take(self, shot: Shot) -> tuple[Tensor, ...]:
        """The columns of `Quadruples` for one shot, without the batch axis."""
        config, sensor = self.config, shot.sensor
        inside = slice(config.margin_px, config.margin_px + config.crop_px)
        pictures = self._light(shot)[..., inside, inside]
        pictures = _shift_colours(pictures, shot.lens, shot.half_diagonal_px)
        pictures = enlarged(pictures, shot.reduction)
        views = expose(pictures[:2], sensor, shot.noise)
        linear = torch.cat([views.mean(dim=0, keepdim=True), views, pictures[2:] * sensor.exposure])
        display = quantise(develop(linear, sensor), sensor.bits)
        if sensor.jpeg_quality:
            display[0] = jpeg(display[0], sensor.jpeg_quality)
        display = reduced(display, shot.reduction)
        coc = visible_coc(shot.surfaces)
        valid = valid_mask(coc)[None, inside, inside]
        coc = coc[None, inside, inside].contiguous()
        return (*display.unbind(dim=0), coc, coc * (shot.lens.kappa / 2.0), valid)

    def _light(self, shot: Shot) -> Tensor:
        """Left, right and sharp picture over the canvas: float32 (3, 3, N, N), linear light."""
        config, surfaces = self.config, shot.surfaces
        if not config.linear_light:
            surfaces = tuple(
                dataclasses.replace(one, rgb_linear=display_from_linear(one.rgb_linear.clamp_max(1.0)))
                for one in surfaces
            )
        if config.occlusion:
            views = render(surfaces, shot.lens, levels=config.levels, object_levels=config.object_levels)
        else:
            views = render_without_occlusion(surfaces, shot.lens, levels=config.levels)
        pictures = torch.cat([views, compose(surfaces)[None]])
        return pictures if config.linear_light else linear_from_display(pictures)


def _curved(surface: Surface, offset_px: Tensor, largest_px: float) -> Surface:
    return dataclasses.replace(surface, coc_px=(surface.coc_px + offset_px).clamp_(-largest_px, largest_px))


def _field_squared(
    size_px: int, field_x: float, field_y: float, half_diagonal_px: float, device: torch.device
) -> Tensor:
    """Squared distance from the picture's middle, 1 in its corner: float32 (size, size) around a crop's place."""
    rows, columns = pixel_grid(size_px, device)
    return (columns / half_diagonal_px + field_x) ** 2 + (rows / half_diagonal_px + field_y) ** 2


def _shift_colours(pictures: Tensor, lens: Lens, half_diagonal_px: float) -> Tensor:
    """Magnify red and blue about the picture's middle, as lateral chromatic aberration does: (B, 3, H, W)."""
    if not any(lens.lateral_ca_px):
        return pictures
    size = pictures.shape[-1]
    rows, columns = pixel_grid(size, pictures.device)
    shifted = pictures.clone()
    for channel, corner_px in zip((0, 2), lens.lateral_ca_px, strict=True):
        across = columns + corner_px * (columns / half_diagonal_px + lens.field_x)
        down = rows + corner_px * (rows / half_diagonal_px + lens.field_y)
        grid = torch.stack([across.expand(size, size), down.expand(size, size)], dim=-1) * (2.0 / size)
        shifted[:, channel] = functional.grid_sample(
            pictures[:, channel][None], grid[None], mode="bicubic", padding_mode="border", align_corners=False
        )[0].clamp_min_(0.0)
    return shifted


def _build(cls: type[Any], values: Any, path: str) -> Any:
    if not isinstance(values, Mapping):
        raise OptionError(f"simulator setting '{path}' {values!r}", "an object of settings", "correct the value")
    hints, defaults = get_type_hints(cls), cls()
    built: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise OptionError(f"setting '{path}{name}'", f"one of {', '.join(sorted(hints))}", "correct the name")
        default = getattr(defaults, name)
        if dataclasses.is_dataclass(default):
            built[name] = _build(hints[name], value, f"{path}{name}.")
            continue
        built[name] = tuple(value) if isinstance(value, list) else value
        if not _like(built[name], default):
            raise OptionError(f"setting '{path}{name}' {value!r}", f"something like {default!r}", "correct it")
    return cls(**built)


def _like(value: Any, default: Any) -> bool:
    """Whether a value has the type of the default: as many numbers, a number, a switch, a text."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and len(value) == len(default) and all(map(_like, value, default))
    if isinstance(default, bool | str):
        return isinstance(value, type(default))
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole if isinstance(default, int) else whole or isinstance(value, float)
