"""From light on the sensor to the developed picture: exposure, noise, mosaic, tone, sharpening and coding."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import pyvips
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class SensorConfig:
    """How sensors and developments are drawn.

    Attributes:
        exposure_stops: range of the exposure, in stops.
        shading_chance, shading: chance and largest opposite tilt of the two views' brightness over the crop.
        clean_chance: chance of no noise at all.
        shot: range of the shot noise `a` (log-uniform); the centre's variance is a * light + b.
        heavy_chance, heavy_shot: chance of a shot noise up to this.
        mosaic_chance: chance that the views are read through a Bayer mosaic.
        red_gain, blue_gain: white balance undone before the mosaic.
        gamma: range of the exponent after the sRGB curve.
        contrast_chance, contrast: chance and largest share of an S-shaped curve.
        sharpen_chance, sharpen_sigma_px, sharpen_amount: unsharp mask on input and target alike.
        eight_bit_chance: chance of 8 bit; 16 bit otherwise.
        jpeg_chance, jpeg_quality: chance and quality of JPEG on the centre view.
    """

    exposure_stops: tuple[float, float] = (-0.5, 0.3)
    shading_chance: float = 0.3
    shading: float = 0.12
    clean_chance: float = 0.2
    shot: tuple[float, float] = (1e-5, 1.5e-3)
    heavy_chance: float = 0.05
    heavy_shot: float = 6e-3
    mosaic_chance: float = 0.15
    red_gain: tuple[float, float] = (1.9, 2.4)
    blue_gain: tuple[float, float] = (1.5, 1.9)
    gamma: tuple[float, float] = (0.85, 1.15)
    contrast_chance: float = 0.5
    contrast: float = 0.7
    sharpen_chance: float = 0.05
    sharpen_sigma_px: tuple[float, float] = (0.6, 1.0)
    sharpen_amount: tuple[float, float] = (0.2, 0.8)
    eight_bit_chance: float = 0.7
    jpeg_chance: float = 0.2
    jpeg_quality: tuple[int, int] = (75, 98)


@dataclass(frozen=True)
class Sensor:
    """One camera and development; the defaults change nothing but the tone curve (sRGB).

    Attributes:
        exposure: factor on the light.
        shading_x, shading_y: opposite tilt of the views' brightness from the middle to the border.
        shot, read_variance: the centre's noise variance is shot * light + read_variance (light 1 is white).
        mosaic: whether the views are read through a Bayer mosaic.
        red_gain, blue_gain: white balance of the mosaic.
        gamma, contrast: exponent after sRGB; share of the S-shaped curve.
        sharpen_sigma_px, sharpen_amount: unsharp mask; amount 0 is none.
        bits: 8, 16, or 0 for no rounding.
        jpeg_quality: of the centre view; 0 is no JPEG.
    """

    exposure: float = 1.0
    shading_x: float = 0.0
    shading_y: float = 0.0
    shot: float = 0.0
    read_variance: float = 0.0
    mosaic: bool = False
    red_gain: float = 1.0
    blue_gain: float = 1.0
    gamma: float = 1.0
    contrast: float = 0.0
    sharpen_sigma_px: float = 0.8
    sharpen_amount: float = 0.0
    bits: int = 0
    jpeg_quality: int = 0

    def parameters(self) -> dict[str, object]:
        """Every value, ready for JSON."""
        return asdict(self)


def draw_sensor(rng: np.random.Generator, config: SensorConfig) -> Sensor:
    """Draw a sensor from the distributions."""
    chance = rng.random(8)
    low, high = (math.log(value) for value in config.shot)
    heavy = chance[1] < config.heavy_chance
    bounds = (high, math.log(config.heavy_shot)) if heavy else (low, high)
    log_shot = float(rng.uniform(*bounds))
    read = read_variance(log_shot, 0.26 * float(rng.standard_normal()))
    shaded = chance[2] < config.shading_chance
    clean = chance[0] < config.clean_chance
    tilt = rng.uniform(-config.shading, config.shading, 2) if shaded else np.zeros(2)
    exposure = 2.0 ** float(rng.uniform(*config.exposure_stops))
    red, blue, gamma = (float(rng.uniform(*b)) for b in (config.red_gain, config.blue_gain, config.gamma))
    contrast = float(rng.uniform(0.0, config.contrast))
    sigma_px, amount = (float(rng.uniform(*b)) for b in (config.sharpen_sigma_px, config.sharpen_amount))
    quality = int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1))
    return Sensor(
        exposure=exposure,
        shading_x=float(tilt[0]),
        shading_y=float(tilt[1]),
        shot=0.0 if clean else math.exp(log_shot),
        read_variance=0.0 if clean else read,
        mosaic=bool(chance[3] < config.mosaic_chance),
        red_gain=red,
        blue_gain=blue,
        gamma=gamma,
        contrast=contrast if chance[4] < config.contrast_chance else 0.0,
        sharpen_sigma_px=sigma_px,
        sharpen_amount=amount if chance[5] < config.sharpen_chance else 0.0,
        bits=8 if chance[6] < config.eight_bit_chance else 16,
        jpeg_quality=quality if chance[7] < config.jpeg_chance else 0,
    )


def read_variance(log_shot: float, deviation: float = 0.0) -> float:
    """Read noise that goes with a shot noise: exp(2.18 ln(shot) + 1.20 + deviation).

    Source: the distribution fitted to real cameras by Brooks et al., "Unprocessing Images for Learned Raw Denoising",
    CVPR 2019, section 3.1 (deviation 0.26).
    """
    return math.exp(2.18 * log_shot + 1.20 + deviation)


def linear_from_display(display: Tensor) -> Tensor:
    """Undo the sRGB curve (IEC 61966-2-1): any shape, [0, 1] to [0, 1]."""
    return torch.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)


def display_from_linear(linear: Tensor) -> Tensor:
    """Apply the sRGB curve (IEC 61966-2-1): any shape, [0, 1] to [0, 1]."""
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-8) ** (1.0 / 2.4) - 0.055)


def expose(views: Tensor, sensor: Sensor, rng: np.random.Generator) -> Tensor:
    """Record both views: exposure, shading, signed noise at half light each, mosaic.

    Args:
        views: float32 (2, 3, H, W), left and right, linear light.
        sensor: what to apply.
        rng: draws the noise; the views' noise is independent, with twice the centre's variance.

    Returns:
        float32 (2, 3, H, W), linear; not clipped, so that noise in the dark keeps its mean.
    """
    height, width = views.shape[-2:]
    light = views * sensor.exposure
    if sensor.shading_x or sensor.shading_y:
        across = torch.linspace(-1.0, 1.0, width, device=views.device) * sensor.shading_x
        down = torch.linspace(-1.0, 1.0, height, device=views.device)[:, None] * sensor.shading_y
        tilt = across + down
        light = light * torch.stack([1.0 + tilt, 1.0 - tilt])[:, None]
    if not sensor.mosaic:
        return _noisy(light, sensor, rng)
    gains = torch.tensor([sensor.red_gain, 1.0, sensor.blue_gain], device=views.device)[:, None, None]
    raw = _noisy(_bayer(light.clamp_max(4.0) / gains), sensor, rng).clamp_max(1.0)
    return _demosaic(raw) * gains


def develop(linear: Tensor, sensor: Sensor) -> Tensor:
    """Clip, tone and sharpen: float32 (B, 3, H, W) linear to display-referred [0, 1]; input and target alike."""
    display = display_from_linear(linear.clamp(0.0, 1.0))
    if sensor.gamma != 1.0:
        display = display.clamp_min(1e-8) ** sensor.gamma
    if sensor.contrast:
        display = display + sensor.contrast * (display * display * (3.0 - 2.0 * display) - display)
    if sensor.sharpen_amount:
        display = display + sensor.sharpen_amount * (display - _gaussian(display, sensor.sharpen_sigma_px))
    return display.clamp(0.0, 1.0)


def quantise(display: Tensor, bits: int) -> Tensor:
    """Round to 8 or 16 bit (0: leave): values in [0, 1], any shape."""
    if bits == 0:
        return display
    steps = float(2**bits - 1)
    return (display * steps).round_() / steps


def jpeg(display: Tensor, quality: int) -> Tensor:
    """Code and decode as JPEG: float32 (3, H, W) in [0, 1]; quality 1 to 100."""
    pixels = (display * 255.0).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
    data = pyvips.Image.new_from_array(pixels).jpegsave_buffer(Q=quality)
    decoded = np.asarray(pyvips.Image.new_from_buffer(data, "").numpy())
    return torch.from_numpy(decoded).to(display.device).permute(2, 0, 1).float() / 255.0


def enlarged(linear: Tensor, times: int) -> Tensor:
    """The light on a sensor with `times` as many px each way: float32 (B, 3, H, W) >= 0, linear."""
    if times == 1:
        return linear
    return functional.interpolate(linear, scale_factor=times, mode="bicubic", align_corners=False).clamp_min_(0.0)


def reduced(display: Tensor, times: int) -> Tensor:
    """The mean of squares of `times` px each way, as `photo.Reader` reduces a photo: (B, 3, H, W), display values."""
    return display if times == 1 else functional.avg_pool2d(display, times)


def _noisy(light: Tensor, sensor: Sensor, rng: np.random.Generator) -> Tensor:
    if sensor.shot == 0.0 and sensor.read_variance == 0.0:
        return light
    noise = torch.from_numpy(rng.standard_normal(tuple(light.shape), dtype=np.float32)).to(light.device)
    variance = 2.0 * (sensor.shot * light + sensor.read_variance)
    return light + noise * variance.sqrt()


def _gaussian(display: Tensor, sigma_px: float) -> Tensor:
    taps = torch.exp(-0.5 * (torch.arange(-3, 4, device=display.device) / sigma_px) ** 2)
    taps = taps / taps.sum()
    padded = functional.pad(display, (3, 3, 3, 3), mode="replicate")
    height, width = display.shape[-2:]
    rows = sum(taps[k] * padded[..., k : k + height, :] for k in range(7))
    return sum(taps[k] * rows[..., :, k : k + width] for k in range(7))  # type: ignore[index,return-value]


def _bayer(rgb: Tensor) -> Tensor:
    """Sample RGGB: (B, 3, H, W) to (B, H, W)."""
    raw = rgb[:, 1].clone()
    raw[:, ::2, ::2] = rgb[:, 0, ::2, ::2]
    raw[:, 1::2, 1::2] = rgb[:, 2, 1::2, 1::2]
    return raw


def _demosaic(raw: Tensor) -> Tensor:
    """Gradient-corrected linear interpolation of RGGB (Malvar, He, Cutler, ICASSP 2004): (B, H, W) to (B, 3, H, W)."""
    cross = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
    along = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
    diagonal = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
    flat = torch.tensor([cross, along, diagonal], device=raw.device) / 8.0
    filters = torch.stack([flat[0], flat[1], flat[1].T, flat[2]])[:, None]
    padded = functional.pad(raw[:, None], (2, 2, 2, 2), mode="reflect")
    green, in_row, in_column, opposite = functional.conv2d(padded, filters).unbind(dim=1)
    rgb = torch.stack([raw, raw, raw], dim=1)
    rgb[:, 1, ::2, ::2], rgb[:, 1, 1::2, 1::2] = green[:, ::2, ::2], green[:, 1::2, 1::2]
    for channel, (row, column) in ((0, (0, 0)), (2, (1, 1))):
        rgb[:, channel, row::2, 1 - column :: 2] = in_row[:, row::2, 1 - column :: 2]
        rgb[:, channel, 1 - row :: 2, column::2] = in_column[:, 1 - row :: 2, column::2]
        rgb[:, channel, 1 - row :: 2, 1 - column :: 2] = opposite[:, 1 - row :: 2, 1 - column :: 2]
    return rgb
