"""Noise, mosaic, tone and coding, by their laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allfocus.simulate.drawings import natural_noise
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


def natural_texture(seed: int, size_px: int) -> torch.Tensor:
    """float32 (3, size, size) in [0, 1]."""
    return torch.from_numpy(natural_noise(np.random.default_rng(seed), size_px)).permute(2, 0, 1).contiguous()


@pytest.mark.parametrize("light", [0.02, 0.5])
def test_noise_has_the_stated_variances(light: float) -> None:
    sensor = Sensor(shot=1e-3, read_variance=2e-5)
    views = torch.full((2, 3, 256, 256), light)
    left, right = expose(views, sensor, np.random.default_rng(0))
    centre = (left + right) / 2.0
    stated = 1e-3 * light + 2e-5
    assert float(centre.var()) == pytest.approx(stated, rel=0.05)
    for view in (left, right):
        assert float(view.var()) == pytest.approx(2.0 * stated, rel=0.05)
        assert float(view.mean()) == pytest.approx(light, abs=4.0 * (2.0 * stated / view.numel()) ** 0.5)
    correlation = float(((left - light) * (right - light)).mean()) / (2.0 * stated)
    assert abs(correlation) < 0.01


def test_a_clean_sensor_changes_nothing_but_exposure() -> None:
    views = natural_texture(0, 64).expand(2, -1, -1, -1)
    assert torch.equal(expose(views, Sensor(exposure=0.5), np.random.default_rng(0)), views * 0.5)


def test_shading_tilts_the_views_against_each_other() -> None:
    views = torch.full((2, 3, 64, 64), 0.5)
    left, right = expose(views, Sensor(shading_x=0.1, shading_y=-0.05), np.random.default_rng(0))
    assert torch.allclose((left + right) / 2.0, views[0], atol=1e-6)
    assert float(left[0, 32, -1]) > float(left[0, 32, 0])


def test_mosaic_keeps_flat_colours_and_clips_at_white() -> None:
    colour = torch.tensor([0.6, 0.4, 0.2])[:, None, None].expand(3, 32, 32)
    sensor = Sensor(mosaic=True, red_gain=2.0, blue_gain=1.6)
    read = expose(torch.stack([colour, colour]), sensor, np.random.default_rng(0))
    assert torch.allclose(read[0], colour, atol=1e-5)
    bright = expose(torch.full((2, 3, 32, 32), 3.0), sensor, np.random.default_rng(0))
    assert bright[0].amax(dim=(1, 2)).tolist() == pytest.approx([2.0, 1.0, 1.6], abs=1e-5)


def test_mosaic_keeps_a_natural_picture_close() -> None:
    picture = natural_texture(0, 96)[:1].expand(3, -1, -1) * torch.tensor([1.0, 0.9, 0.7])[:, None, None]
    smooth = torch.nn.functional.avg_pool2d(picture[None], 5, stride=1, padding=2)[0]
    read = expose(
        torch.stack([smooth, smooth]), Sensor(mosaic=True, red_gain=2.1, blue_gain=1.7), np.random.default_rng(0)
    )
    assert float((read[0] - smooth)[:, 4:-4, 4:-4].abs().mean()) < 0.01


def test_tone_curve_and_its_inverse() -> None:
    levels = torch.linspace(0.0, 1.0, 1001)
    assert torch.allclose(linear_from_display(display_from_linear(levels)), levels, atol=1e-5)
    assert float(display_from_linear(torch.tensor(0.5))) == pytest.approx(0.7354, abs=1e-4)


def test_development_is_monotone_and_bounded() -> None:
    ramp = torch.linspace(-0.1, 1.4, 500).expand(1, 3, 4, 500)
    display = develop(ramp, Sensor(gamma=0.9, contrast=0.6))
    assert float(display.min()) >= 0.0 and float(display.max()) <= 1.0
    assert bool((display[..., 1:] >= display[..., :-1] - 1e-6).all())


def test_sharpening_keeps_flat_pictures_and_raises_edges() -> None:
    sensor = Sensor(sharpen_sigma_px=0.8, sharpen_amount=0.6)
    flat = torch.full((1, 3, 16, 16), 0.2)
    assert torch.allclose(develop(flat, sensor), develop(flat, Sensor()), atol=1e-6)
    step = torch.full((1, 3, 16, 16), 0.1)
    step[..., 8:] = 0.5
    assert float(develop(step, sensor).max()) > float(develop(step, Sensor()).max())


@pytest.mark.parametrize("bits", [8, 16])
def test_rounding(bits: int) -> None:
    codes = quantise(natural_texture(0, 16), bits) * (2**bits - 1)
    assert float((codes - codes.round()).abs().max()) < 1e-2
    assert torch.equal(quantise(codes, 0), codes)


def test_jpeg_is_close_and_eight_bit() -> None:
    picture = natural_texture(0, 40)[:, :37, :29]
    coded = jpeg(picture, 95)
    assert coded.shape == picture.shape
    assert float((coded - picture).abs().mean()) < 0.02
    assert float((coded * 255.0 - (coded * 255.0).round()).abs().max()) < 1e-3


def test_drawn_sensors_stay_in_their_ranges() -> None:
    config = SensorConfig()
    drawn = [draw_sensor(np.random.default_rng(seed), config) for seed in range(300)]
    noisy = [sensor for sensor in drawn if sensor.shot]
    assert 0.12 < 1.0 - len(noisy) / 300 < 0.28
    assert min(sensor.shot for sensor in noisy) >= config.shot[0]
    assert max(sensor.shot for sensor in noisy) <= config.heavy_shot
    assert {sensor.bits for sensor in drawn} == {8, 16}
    assert all(75 <= sensor.jpeg_quality <= 98 for sensor in drawn if sensor.jpeg_quality)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_reducing_undoes_enlarging_but_for_the_finest_detail(times: int) -> None:
    picture = natural_texture(0, 48)[None]
    there_and_back = reduced(enlarged(picture, times), times)
    assert there_and_back.shape == picture.shape
    assert float(enlarged(picture, times).min()) >= 0.0
    assert float((there_and_back - picture).abs().mean()) < 0.02
    assert float(there_and_back.mean()) == pytest.approx(float(picture.mean()), abs=1e-3)


@pytest.mark.parametrize("times", [2, 4])
def test_reduced_pictures_have_less_noise(times: int) -> None:
    sensor = Sensor(shot=1e-3, read_variance=2e-5)
    views = enlarged(torch.full((2, 3, 96, 96), 0.5), times)
    centre = reduced(expose(views, sensor, np.random.default_rng(0)).mean(dim=0, keepdim=True), times)
    assert float(centre.var()) == pytest.approx((1e-3 * 0.5 + 2e-5) / times**2, rel=0.05)
