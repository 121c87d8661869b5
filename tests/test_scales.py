"""The working scales that follow from the measured blur, and where each of them acts."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.defocus.measure import Blur, local_radius_px, window_mean
from allfocus.errors import OptionError
from allfocus.scales import (
    CONTEXT_PX,
    GRID_PX,
    Texture,
    check_scale,
    choose_scales,
    grid_mean,
    left_for_full_size,
    needs_scale,
)
from blurred import blurred_texture


@pytest.mark.parametrize(
    ("requested", "large_px", "scales"),
    [("auto", 40, (4, 2, 1)), ("auto", 1, (1,)), ("2", 0, (2, 1)), (1, 40, (1,)), (4, 0, (4, 2, 1))],
)
def test_scales(requested: str | int, large_px: float, scales: tuple[int, ...]) -> None:
    assert choose_scales(requested, 6000, 4000, Blur(1.0, large_px, 64)) == scales


@pytest.mark.parametrize(
    ("requested", "size", "scales"),
    [
        (4, (6000, 4000), (4, 2)),
        (1, (6000, 4000), (2,)),
        (2, (3000, 2000), (2,)),
        (1, (2999, 2000), (1,)),
        (4, (2999, 2000), (4, 2, 1)),
    ],
)
def test_large_photos_may_end_at_half_size(requested: int, size: tuple[int, int], scales: tuple[int, ...]) -> None:
    assert choose_scales(requested, *size, Blur(1, 1, 1), finest=2) == scales


def test_blur_all_over_is_enough_for_half_size() -> None:
    assert choose_scales("auto", 600, 400, Blur(13.0, 14.0, 64)) == (2, 1)
    assert choose_scales("auto", 600, 400, Blur(12.0, 16.5, 64)) == (1,)


def test_small_photos_are_not_reduced_to_nothing() -> None:
    assert choose_scales("4", 100, 70, Blur(9, 9, 1)) == (2, 1)


def test_another_scale_is_refused() -> None:
    with pytest.raises(OptionError, match="scale '3'; expected auto, 1, 2 or 4"):
        check_scale("3")


def test_a_coarser_scale_has_nothing_to_do_where_the_photo_is_sharp_there() -> None:
    sharp, soft = (blurred_texture(radius, 256) / np.float32(255) for radius in (0.5, 5))
    assert needs_scale(sharp, finest=False).mean() < 0.3  # flat windows count as blurred
    assert needs_scale(soft, finest=False).mean() > 0.95
    both = np.concatenate([sharp[:, :128], soft[:, 128:]], axis=1)
    need = needs_scale(both, finest=False)
    assert need.shape == (256, 256, 1)
    assert need[:, :80].mean() < 0.3
    assert need[:, 176:].mean() > 0.95


@pytest.mark.parametrize(("scale", "between_px"), [(2, 2.4), (4, 1.7)])
def test_full_size_has_the_less_left_to_do_the_more_is_blurred(scale: int, between_px: float) -> None:
    shares = [left_for_full_size(np.full((30, 40), radius, np.float32), scale) for radius in (0.5, between_px, 6)]
    assert (shares[0] == 1).all()
    assert ((shares[1] > 0.2) & (shares[1] < 0.8)).all()
    assert not shares[2].any()
    measured = local_radius_px(blurred_texture(6, 256) / np.float32(255))
    assert left_for_full_size(measured, scale).mean() < 0.05


def test_the_finest_scale_takes_up_what_coarser_ones_leave_to_it() -> None:
    slight = blurred_texture(0.8, 256) / np.float32(255)
    assert needs_scale(slight, finest=True).mean() > needs_scale(slight, finest=False).mean() + 0.1


def test_fine_texture_in_focus_is_left_alone_at_every_scale() -> None:
    fine = np.random.default_rng(0).uniform(0.2, 0.8, (128, 128, 1)).astype(np.float32).repeat(3, 2)
    assert needs_scale(fine, finest=True).max() < 0.05


def test_need_is_local() -> None:
    picture = blurred_texture(2, 256) / np.float32(255)
    whole = needs_scale(picture, finest=True)
    part = needs_scale(picture[32:224, 64:224], finest=True)
    inside = slice(CONTEXT_PX, -CONTEXT_PX)
    np.testing.assert_allclose(part[inside, inside], whole[32:224, 64:224][inside, inside], atol=1e-5)


def test_means_on_the_grid_are_means_over_the_window_of_pixels() -> None:
    grid = np.random.default_rng(0).random((20, 31)).astype(np.float32)
    pixels = grid.repeat(GRID_PX, 0).repeat(GRID_PX, 1)
    wanted = window_mean(pixels).reshape(20, GRID_PX, 31, GRID_PX)[4:-4, 1:3, 4:-4, 1:3].mean(axis=(1, 3))
    np.testing.assert_allclose(grid_mean(grid)[4:-4, 4:-4], wanted, atol=1e-5)  # both middle pixels of a square
    np.testing.assert_allclose(grid_mean(np.ones((3, 5), np.float32)), 1, atol=1e-6)
    assert not grid_mean(np.zeros((9, 9), np.float32)).any()


def texture(sharp: np.ndarray, soft: np.ndarray | None = None) -> Texture:
    """Of cells with 64 samples."""
    none = np.zeros(sharp.shape)
    return Texture(np.full(sharp.shape, 64.0), 64.0 * sharp, none if soft is None else 64.0 * soft)


def test_surroundings_in_focus_speak_for_their_middle() -> None:
    sharp = np.zeros((40, 60), bool)
    sharp[:, :30] = True
    sharp[20, 10] = sharp[5:7, 20:22] = False
    alone = texture(sharp).in_focus(32, 64)
    assert alone.shape == (41, 61)
    assert (alone[:, :29] == 1).all()
    assert (alone[:, 34:] == 0).all()
    assert (np.diff(alone[3, 24:36]) <= 0).all()


def test_without_texture_nothing_is_in_focus() -> None:
    nothing = np.zeros((9, 12))
    assert not Texture(nothing, nothing, nothing).in_focus(32, 64).any()


@pytest.mark.parametrize(("side", "spared"), [(2, True), (3, False), (5, False)])
def test_a_soft_patch_amid_what_is_in_focus_is_out_of_focus_if_it_is_large(side: int, spared: bool) -> None:
    soft = np.zeros((40, 60), bool)
    soft[20 : 20 + side, 30 : 30 + side] = True
    alone = texture(~soft, soft).in_focus(32, 64)
    assert (alone[20 : 21 + side, 30 : 31 + side] == float(spared)).all()
    assert (alone[:12] == 1).all()
