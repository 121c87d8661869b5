"""One lens at one place of the picture: its pupil, its aberrations and its dual-pixel split."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from allfocus.defocus.map import KAPPA
from allfocus.errors import OptionError

PROFILES = {"disc": 1.12, "gaussian": 1.75}
"""Shapes of blur, and how far each reaches in blur radii."""


@dataclass(frozen=True)
class LensConfig:
    """How lenses are drawn.

    Attributes:
        profile: "disc", or "gaussian" (deviation half the radius) as many simulators have it; for comparisons.
        blades_chance: chance of a polygonal pupil of 5 to 9 blades; a disc otherwise.
        blades_curvature: range of the rounding of the blades, 0 straight to 1 a full circle.
        cats_eye_chance: chance that the pupil is clipped towards the corners.
        cats_eye_shift: range of the clipping circle's displacement at the corner, in pupil radii.
        ring_chance: chance of spherical aberration.
        ring: largest strength of the bright rim (or, on the other side of focus, the bright middle).
        kappa: range of the dual-pixel split; 0 gives equal views, 1 a ramp that reaches zero at the rim.
        tanh_chance: chance that the split follows a soft step instead of a linear ramp.
        tanh_gain: range of the steepness of that step.
        edge_px: deviation of the Gaussian that softens the rim, in px.
        edge_share: largest further softening, as a share of the blur radius.
        softness_px: deviation of the half-normal softness in focus, as a blur radius in px at 1680 px width.
        longitudinal_ca_chance, longitudinal_ca_px: chance and deviation of the focus offset of red and blue, in px.
        lateral_ca_chance, lateral_ca_px: chance and largest displacement of red and blue at the corner, in px.
        field_curvature_px: deviation of the focus offset at the corner, in px at 1680 px width.
        oblique_chance: chance of the aberrations of oblique light, coma and astigmatism.
        coma_px, astigmatism_px: their deviations at the corner, in px at 1680 px width; see `Lens.landing`.
    """

    profile: str = "disc"
    blades_chance: float = 0.25
    blades_curvature: tuple[float, float] = (0.3, 1.0)
    cats_eye_chance: float = 0.3
    cats_eye_shift: tuple[float, float] = (0.0, 0.7)
    ring_chance: float = 0.3
    ring: float = 0.4
    kappa: tuple[float, float] = (0.6, 1.0)
    tanh_chance: float = 0.15
    tanh_gain: tuple[float, float] = (1.0, 3.0)
    edge_px: float = 0.35
    edge_share: float = 0.1
    softness_px: float = 1.2
    longitudinal_ca_chance: float = 0.35
    longitudinal_ca_px: float = 0.35
    lateral_ca_chance: float = 0.3
    lateral_ca_px: float = 0.4
    field_curvature_px: float = 1.0
    oblique_chance: float = 0.0
    coma_px: float = 1.0
    astigmatism_px: float = 1.0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise OptionError(f"lens profile {self.profile!r}", f"one of {', '.join(PROFILES)}", "'disc'")


@dataclass(frozen=True)
class Lens:
    """A lens as one crop sees it; the defaults are an ideal lens with the split measured on real cameras.

    Attributes:
        kappa: dual-pixel split; the views' centroids lie kappa * radius / 2 apart.
        tanh_gain: steepness of a soft step over the pupil; 0 is a linear ramp.
        blades, blades_curvature, blades_rotation: polygonal pupil (0 blades is a disc), rotation in radians.
        field_x, field_y: place of the crop in the picture; the corner is at distance 1.
        cats_eye_shift: displacement at the corner of the circle that clips the pupil, in pupil radii.
        ring: spherical aberration; positive is a bright rim behind the focus plane and a bright middle before it.
        edge_px, edge_share: Gaussian softening of the rim, px and share of the radius.
        softness_px: blur radius that adds to every blur in quadrature, in px.
        longitudinal_ca_px: focus offset of red and blue against green, in px of blur radius.
        lateral_ca_px: displacement of red and blue at the corner, in px.
        field_curvature_px: focus offset at the corner, in px of blur radius.
        coma_px: length at the corner of the flare that coma makes of a point in focus, away from the middle of the
            picture where positive, px.
        astigmatism_px: by how much blur at the corner is longer across than along the direction of the middle where it
            is positive (behind the focus plane), as an offset of the radius, px.
        profile: "disc" (everything above), or "gaussian", which knows no blades, cat's eye or ring.
    """

    kappa: float = KAPPA
    tanh_gain: float = 0.0
    blades: int = 0
    blades_curvature: float = 1.0
    blades_rotation: float = 0.0
    field_x: float = 0.0
    field_y: float = 0.0
    cats_eye_shift: float = 0.0
    ring: float = 0.0
    edge_px: float = 0.0
    edge_share: float = 0.0
    softness_px: float = 0.0
    longitudinal_ca_px: tuple[float, float] = (0.0, 0.0)
    lateral_ca_px: tuple[float, float] = (0.0, 0.0)
    field_curvature_px: float = 0.0
    coma_px: float = 0.0
    astigmatism_px: float = 0.0
    profile: str = "disc"

    def parameters(self) -> dict[str, object]:
        """Every value, ready for JSON; coma and astigmatism only where there are any, as older sets know none."""
        values = asdict(self)
        return {name: value for name, value in values.items() if value or name not in ("coma_px", "astigmatism_px")}

    @property
    def oblique(self) -> bool:
        """Whether light from this place of the picture has coma or astigmatism."""
        return bool((self.coma_px or self.astigmatism_px) and (self.field_x or self.field_y))

    @property
    def stray_px(self) -> float:
        """How far beyond the blur radius the light of a point may land, px."""
        field = math.hypot(self.field_x, self.field_y)
        return abs(self.coma_px) * field + abs(self.astigmatism_px) * field**2

    def landing(self, across: Tensor, down: Tensor, coc_px: float | Tensor) -> tuple[Tensor, Tensor]:
        """Where the light of a point that passes the pupil at some place meets the sensor.

        Transverse ray aberrations of third order (Welford, "Aberrations of Optical Systems", 1986, chapter 8; Born
        and Wolf, "Principles of Optics", section 5.3): with pupil coordinates (u, v), u along the direction from the
        middle of the picture, r^2 = u^2 + v^2 and h the distance from the middle (1 in the corner), the light lands at

            coc (u, v) + coma h (3 u^2 + v^2 - 1, 2 u v) / 3 + astigmatism h^2 (-u, v).

        Defocus changes its sign from one side of the focus plane to the other, these do not: with positive astigmatism
        blur behind it is longer across, and blur before it along. The -1 keeps the centre of gravity of a disc where it
        is, as a pair of photos that lie upon each other has it. Field curvature is a defocus and is applied to the
        radius; spherical aberration is `ring`.

        Args:
            across, down: pupil coordinates, 1 at the rim of the disc.
            coc_px: signed blur radius, or one for each place.

        Returns:
            Displacement across and down, px, of the shape of the coordinates.
        """
        field = math.hypot(self.field_x, self.field_y)
        if not self.oblique:
            return coc_px * across, coc_px * down
        along_x, along_y = self.field_x / field, self.field_y / field
        u, v = across * along_x + down * along_y, down * along_x - across * along_y
        coma, astigmatism = self.coma_px * field / 3.0, self.astigmatism_px * field**2
        radial = (coc_px - astigmatism) * u + coma * (3.0 * u**2 + v**2 - 1.0)
        tangential = (coc_px + astigmatism) * v + coma * 2.0 * u * v
        return radial * along_x - tangential * along_y, radial * along_y + tangential * along_x

    def pupil(self, across: Tensor, down: Tensor, *, behind: bool, sharpness: float) -> Tensor:
        """Brightness of the pupil as blur shows it.

        Args:
            across, down: pupil coordinates, 1 at the rim of the disc.
            behind: whether the point lies behind the focus plane (the ring flips with it).
            sharpness: how fast the rim falls from 1 to 0, per pupil radius.

        Returns:
            float32 >= 0, of the shape of the coordinates.
        """
        if self.profile == "gaussian":
            return torch.exp(-2.0 * (across**2 + down**2))
        distance = torch.sqrt(across**2 + down**2)
        rim = self._rim(across, down) if self.blades else torch.ones_like(distance)
        light = ((rim - distance) * sharpness + 0.5).clamp_(0.0, 1.0)
        if self.cats_eye_shift and (self.field_x or self.field_y):
            clip = torch.sqrt(
                (across - self.cats_eye_shift * self.field_x) ** 2 + (down - self.cats_eye_shift * self.field_y) ** 2
            )
            light = light * ((1.0 - clip) * sharpness + 0.5).clamp_(0.0, 1.0)
        if self.ring:
            light = light * (1.0 + (self.ring if behind else -self.ring) * (2.0 * distance**2 - 1.0)).clamp_min_(0.0)
        return light

    def split(self, across: Tensor) -> Tensor:
        """What the right view gains and the left view loses over the pupil: odd, about kappa * across."""
        if self.profile == "gaussian":
            return self.kappa * across.clamp(-1.0, 1.0)
        if self.tanh_gain == 0.0:
            return self.kappa * across
        # The gain keeps the centroid of a disc where the linear ramp has it.
        axis = torch.linspace(-1.0, 1.0, 201)
        chord = torch.sqrt(1.0 - axis**2)
        gain = float((chord * axis**2).sum() / (chord * axis * torch.tanh(self.tanh_gain * axis)).sum())
        return (self.kappa * gain) * torch.tanh(self.tanh_gain * across)

    def _rim(self, across: Tensor, down: Tensor) -> Tensor:
        """Radius of the polygon in each direction, scaled to the area of the unit disc."""
        step = 2.0 * math.pi / self.blades
        turn = torch.linspace(-step / 2, step / 2, 65, device=across.device)
        area = (self._side(turn) ** 2).mean().sqrt()
        angle = torch.remainder(torch.atan2(down, across) - self.blades_rotation, step) - step / 2
        return self._side(angle) / area

    def _side(self, angle: Tensor) -> Tensor:
        straight = math.cos(math.pi / self.blades) / torch.cos(angle)
        return straight + self.blades_curvature * (1.0 - straight)


def draw_lens(rng: np.random.Generator, config: LensConfig, resolution_scale: float) -> Lens:
    """Draw a lens and a place in the picture; the number of draws is always the same.

    `resolution_scale` is the width of the imagined picture over 1680 px; px at that width are scaled by it.
    """
    chance = rng.random(6)
    aspect = np.array([1.5, 1.0]) / math.hypot(1.5, 1.0)
    field_x, field_y = (float(value) for value in rng.uniform(-1.0, 1.0, 2) * aspect)
    kappa, curvature, gain, shift = (
        float(rng.uniform(*bounds))
        for bounds in (config.kappa, config.blades_curvature, config.tanh_gain, config.cats_eye_shift)
    )
    blades, rotation = int(rng.integers(5, 10)), float(rng.uniform(0.0, 2.0 * math.pi))
    ring, edge_share = float(rng.uniform(-config.ring, config.ring)), float(rng.uniform(0.0, config.edge_share))
    softness, curvature_px = (float(value) for value in rng.standard_normal(2))
    red_px, blue_px = (float(value) * config.longitudinal_ca_px for value in rng.standard_normal(2))
    red_shift_px, blue_shift_px = (float(value) * config.lateral_ca_px for value in rng.uniform(-1.0, 1.0, 2))
    oblique = rng.random() < config.oblique_chance
    coma_px, astigmatism_px = (float(value) * resolution_scale for value in rng.standard_normal(2))
    return Lens(
        kappa=kappa,
        tanh_gain=gain if chance[0] < config.tanh_chance else 0.0,
        blades=blades if chance[1] < config.blades_chance else 0,
        blades_curvature=curvature,
        blades_rotation=rotation,
        field_x=field_x,
        field_y=field_y,
        cats_eye_shift=shift if chance[2] < config.cats_eye_chance else 0.0,
        ring=ring if chance[3] < config.ring_chance else 0.0,
        edge_px=config.edge_px,
        edge_share=edge_share,
        softness_px=abs(softness) * config.softness_px * resolution_scale,
        longitudinal_ca_px=(red_px, blue_px) if chance[4] < config.longitudinal_ca_chance else (0.0, 0.0),
        lateral_ca_px=(red_shift_px, blue_shift_px) if chance[5] < config.lateral_ca_chance else (0.0, 0.0),
        field_curvature_px=curvature_px * config.field_curvature_px * resolution_scale,
        coma_px=coma_px * config.coma_px if oblique else 0.0,
        astigmatism_px=astigmatism_px * config.astigmatism_px if oblique else 0.0,
        profile=config.profile,
    )
