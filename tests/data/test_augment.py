"""Random changes: pictures, views and map stay together, and nothing depends on who draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allfocus.data.augment import AugmentConfig, augment, draw_reduction
from allfocus.data.batch import Batch
from allfocus.errors import OptionError
from allfocus.simulate.sensor import linear_from_display

PLAIN = AugmentConfig(flips=False, turns=False)


def sample(side: int = 32, views: bool = True) -> Batch:
    """A ramp with its map, and views that are the ramp 0.01 brighter and darker."""
    axis = torch.arange(side) / side / 2
    ramp = (0.3 * axis[None] + 0.6 * axis[:, None] + 0.1).expand(1, 3, side, side).contiguous()
    cells = torch.nn.functional.avg_pool2d(ramp[:, :1], 8) * 10
    return Batch(ramp, ramp, cells, *((ramp + 0.01, ramp - 0.01) if views else (None, None)))


def cells(batch: Batch) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(batch.centre[:, :1], 8) * 10


def test_exchanged_views_lie_on_the_other_side_of_the_focus() -> None:
    plain = sample()
    changed = augment(plain, replace(PLAIN, exchange_chance=1.0), np.random.default_rng(0))
    assert plain.coc is not None and changed.coc is not None
    assert torch.equal(changed.left, plain.right) and torch.equal(changed.right, plain.left)  # type: ignore[arg-type]
    assert torch.equal(changed.coc, -plain.coc) and torch.equal(changed.centre, plain.centre)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_mirrors_and_turns_keep_pictures_views_and_map_together(seed: int, views: bool) -> None:
    changed = augment(sample(views=views), AugmentConfig(), np.random.default_rng(seed))
    assert torch.equal(changed.centre, changed.sharp)
    assert changed.coc is not None
    torch.testing.assert_close(cells(changed), changed.coc)
    if views:
        assert changed.left is not None
        torch.testing.assert_close((changed.left - changed.centre).abs(), torch.full_like(changed.centre, 0.01))


def test_a_mirrored_left_view_is_a_right_view_and_views_are_never_turned() -> None:
    first = sample()
    seen = set()
    for seed in range(60):
        changed = augment(first, AugmentConfig(), np.random.default_rng(seed))
        assert changed.left is not None
        mirrored = bool(changed.centre[0, 0, 0, 0] > changed.centre[0, 0, 0, -1])
        swapped = bool(changed.left[0, 0, 0, 0] < changed.centre[0, 0, 0, 0])
        across = (changed.centre[0, 0, 0, -1] - changed.centre[0, 0, 0, 0]).abs()
        down = (changed.centre[0, 0, -1, 0] - changed.centre[0, 0, 0, 0]).abs()
        assert down > across
        seen.add((mirrored, swapped))
    assert seen == {(False, False), (True, True)}


def test_a_reduced_sample_has_a_smaller_blur() -> None:
    config = AugmentConfig(reduce_chance=1.0, reduce_to=(0.5, 0.5))
    reduction = draw_reduction(config, np.random.default_rng(0), 32, 256)
    assert (reduction.side_px, reduction.patch_px) == (64, 32)
    small = reduction(sample(64))
    assert small.centre.shape == (1, 3, 32, 32)
    assert small.coc is not None
    assert small.coc.shape == (1, 1, 4, 4)
    torch.testing.assert_close(small.coc.mean(), cells(small).mean() / 2, rtol=0.1, atol=0)


@pytest.mark.parametrize("source", [32, 40, 48])
def test_no_more_is_asked_for_than_the_source_has(source: int) -> None:
    config = AugmentConfig(reduce_chance=1.0, reduce_to=(0.25, 1.0))
    sides = {draw_reduction(config, np.random.default_rng(seed), 32, source).side_px for seed in range(50)}
    assert max(sides) == source
    assert min(sides) == 32


def test_noise_is_the_same_in_all_views_and_not_in_the_target() -> None:
    config = AugmentConfig(flips=False, turns=False, noise_chance=1.0, noise_sigma=(0.01, 0.01))
    first = sample()
    noisy = augment(first, config, np.random.default_rng(0))
    grain = noisy.centre - first.centre
    assert grain.std().item() == pytest.approx(0.01, rel=0.1)
    assert noisy.left is not None
    assert first.left is not None
    torch.testing.assert_close(noisy.left - first.left, grain, atol=1e-6, rtol=0)
    assert torch.equal(noisy.sharp, first.sharp)


def test_grey_is_brighter_and_has_one_colour() -> None:
    first = sample()
    grey = augment(first, AugmentConfig(flips=False, turns=False, grey_chance=1.0), np.random.default_rng(0))
    assert (grey.centre[:, 0] == grey.centre[:, 2]).all()
    assert (grey.centre > first.centre).all()
    assert grey.coc is first.coc


def test_darker_takes_the_same_light_from_every_picture() -> None:
    first = sample()
    stop = AugmentConfig(flips=False, turns=False, dark_chance=1.0, dark_stops=(1.0, 1.0))
    dark = augment(first, stop, np.random.default_rng(0))
    for before, after in zip(
        (first.centre, first.sharp, first.right), (dark.centre, dark.sharp, dark.right), strict=True
    ):
        assert before is not None and after is not None
        torch.testing.assert_close(linear_from_display(after), linear_from_display(before) / 2, atol=1e-5, rtol=0)
    assert dark.coc is first.coc
    with pytest.raises(OptionError, match="dark_stops"):
        AugmentConfig(dark_stops=(2.0, 1.0))


def test_nothing_happens_where_nothing_is_asked_for() -> None:
    first = sample()
    assert augment(first, PLAIN, np.random.default_rng(0)) is first
    assert draw_reduction(PLAIN, np.random.default_rng(0), 32, 64)(first) is first


def test_a_core_is_a_share_of_the_sharp_light() -> None:
    plain = sample(views=False)
    plain = plain._replace(centre=plain.centre.mean(dim=-1, keepdim=True).expand_as(plain.centre).contiguous())
    changed = augment(plain, replace(PLAIN, core_chance=1.0, core_share=(0.2, 0.2)), np.random.default_rng(0))
    light = linear_from_display(plain.centre) * 0.8 + linear_from_display(plain.sharp) * 0.2
    torch.testing.assert_close(linear_from_display(changed.centre), light, rtol=1e-5, atol=1e-6)
    assert torch.equal(changed.sharp, plain.sharp)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.001, 0.05))
def test_strange_detail_is_faint_lies_on_the_photo_alone_and_has_no_mean(seed: int, size: float) -> None:
    noise = torch.from_numpy(np.random.default_rng(seed).uniform(0.3, 0.7, (1, 3, 64, 64)).astype(np.float32))
    plain = sample(side=64, views=False)._replace(centre=noise, sharp=noise.flip(-1))
    changed = augment(plain, replace(PLAIN, texture_chance=1.0, texture_size=(size, size)), np.random.default_rng(seed))
    change = changed.centre - plain.centre
    assert change.abs().max() <= size + 1e-6
    assert 0.15 * size < change.abs().mean() < 0.6 * size
    assert change.mean().abs() < 0.1 * size
    assert torch.equal(changed.sharp, plain.sharp)


def test_a_flat_sample_gets_no_texture() -> None:
    plain = Batch(torch.full((1, 3, 32, 32), 0.4), torch.full((1, 3, 32, 32), 0.4))
    changed = augment(plain, replace(PLAIN, texture_chance=1.0), np.random.default_rng(1))
    torch.testing.assert_close(changed.centre, plain.centre, rtol=0, atol=1e-4)


def test_coloured_grain_falls_with_frequency_and_is_mostly_light() -> None:
    flat = Batch(torch.full((1, 3, 128, 128), 0.5), torch.full((1, 3, 128, 128), 0.5))
    changed = augment(flat, replace(PLAIN, grain_chance=1.0, grain_sigma=(0.004, 0.004)), np.random.default_rng(0))
    grain = (changed.centre - flat.centre)[0].double()
    power = torch.fft.fft2(grain).abs().square().mean(dim=0) / 128**2
    frequency = torch.fft.fftfreq(128)
    distance = torch.hypot(frequency[:, None], frequency[None])

    def amplitude(low: float, high: float) -> float:
        return float(power[(distance >= low) & (distance < high)].mean().sqrt())

    assert amplitude(0.2, 0.25) == pytest.approx(0.004, rel=0.1)
    assert amplitude(0.4, 0.5) / amplitude(0.2, 0.25) == pytest.approx((0.45 / 0.225) ** -1.6, rel=0.15)
    assert float((grain[0] - grain[1]).std()) < 1.1 * float(grain[0].std())
    assert torch.equal(changed.sharp, flat.sharp)


def test_grain_may_follow_texture() -> None:
    noise = torch.from_numpy(np.random.default_rng(5).uniform(0.2, 0.8, (1, 3, 96, 96)).astype(np.float32))
    noise[..., :48] = 0.5
    plain = Batch(torch.full_like(noise, 0.5), noise)
    config = replace(PLAIN, grain_chance=1.0, grain_sigma=(0.004, 0.004), grain_follows_chance=1.0)
    grain = augment(plain, config, np.random.default_rng(0)).centre - plain.centre
    assert float(grain[..., 64:].std()) > 2 * float(grain[..., :32].std()) > 0
