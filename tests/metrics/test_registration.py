from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from allfocus.errors import InputError, OptionError
from allfocus.metrics.registration import checkerboard, displacement, register, rms_px, unexplained, warped
from scenery import planted, scenery

SCENE = scenery()
PLANE = SCENE.mean(axis=2)
SHAPE = PLANE.shape


def miss_px(found: np.ndarray, truth: np.ndarray) -> float:
    return rms_px(displacement(found, SHAPE) - displacement(truth, SHAPE))


def moved(truth: np.ndarray) -> np.ndarray:
    """The picture in which `truth` is the warp from pixels of the scene."""
    return warped(PLANE, np.linalg.inv(truth))


@settings(max_examples=12)
@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(0.97, 1.03), st.floats(-2, 2))
def test_a_planted_warp_is_found(x: float, y: float, scale: float, degrees: float) -> None:
    truth = planted(SHAPE, (x, y), scale, degrees)
    assert miss_px(register(moved(truth), PLANE), truth) < 0.03


def test_a_homography_is_found_from_a_start_nearby() -> None:
    truth = planted(SHAPE, (1.5, -2.5), 1.01, 1.0)
    truth[2, :2] = 2e-5, -3e-5
    assert miss_px(register(moved(truth), PLANE, "homography"), truth) < 0.05
    assert miss_px(register(moved(truth), PLANE, "affine"), truth) > 0.1


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_blur_moves_nothing(sigma: float) -> None:
    truth = planted(SHAPE, (2.3, -1.4), 1.02, 0.5)
    blurred = ndimage.gaussian_filter(moved(truth), sigma, mode="nearest")
    assert miss_px(register(blurred, PLANE), truth) < 0.15


def test_light_moves_nothing() -> None:
    truth = planted(SHAPE, (0.4, 0.6), 1.003)
    rows, columns = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    vignette = 1 - 0.3 * ((rows / SHAPE[0] - 0.5) ** 2 + (columns / SHAPE[1] - 0.5) ** 2)
    assert miss_px(register(0.5 * vignette * moved(truth) + 0.1, PLANE), truth) < 0.05


def test_a_thing_that_moved_does_not_pull() -> None:
    truth = planted(SHAPE, (1.0, 0.5))
    other = moved(truth)
    other[60:110, 90:150] = PLANE[64:114, 98:158]
    assert miss_px(register(other, PLANE), truth) < 0.1


def test_pixels_without_weight_say_nothing() -> None:
    halves = np.where(np.arange(SHAPE[1]) < SHAPE[1] // 2, 1.0, 0.0)[None, :] * np.ones(SHAPE)
    left, right = planted(SHAPE, (1.0, 0.0)), planted(SHAPE, (-1.0, 0.0))
    both = np.where(halves > 0, moved(left), moved(right))
    assert miss_px(register(both, PLANE, "shift", weights=halves), left) < 0.1
    assert miss_px(register(both, PLANE, "shift", weights=1 - halves), right) < 0.1


@pytest.mark.parametrize("flat", [np.zeros(SHAPE), np.full(SHAPE, 0.4)])
def test_where_nothing_can_be_held_on_to_the_start_is_the_answer(flat: np.ndarray) -> None:
    start = planted(SHAPE, (3.0, 1.0))
    np.testing.assert_array_equal(register(flat, PLANE, start=start), start)
    np.testing.assert_array_equal(register(PLANE, flat, start=start), start)
    np.testing.assert_array_equal(register(PLANE, PLANE, start=start, weights=flat * 0), start)


def test_pictures_of_two_sizes() -> None:
    crop = PLANE[7:-20, 10:-3]
    found = register(PLANE, crop, "shift", levels=4)
    np.testing.assert_allclose(found, [[1, 0, 10], [0, 1, 7], [0, 0, 1]], atol=0.02)


def test_warped_by_the_identity_is_the_picture() -> None:
    np.testing.assert_allclose(warped(SCENE, np.eye(3)), SCENE, atol=1e-9)
    assert warped(SCENE, np.eye(3), (5, 9)).shape == (5, 9, 3)


def test_what_a_warp_leaves_unexplained() -> None:
    shift = planted(SHAPE, (1.5, -0.5))
    moving = 0.5 * moved(shift) + 0.1  # a change of light explains itself
    there, beside = (unexplained(moving, PLANE, warp) for warp in (shift, np.eye(3)))
    assert there < 0.01 < 0.05 < beside < 1
    noise = np.random.default_rng(3).normal(size=SHAPE)
    assert unexplained(noise, PLANE, np.eye(3)) > 0.9
    assert unexplained(np.zeros(SHAPE), PLANE, np.eye(3)) == 1
    half = np.arange(SHAPE[1]) < SHAPE[1] // 2
    torn = np.where(half, moving, noise)
    weights = np.broadcast_to(np.arange(SHAPE[1]) < SHAPE[1] // 2 - 40, SHAPE).astype(float)
    assert unexplained(torn, PLANE, shift, weights) < 0.01 < unexplained(torn, PLANE, shift)


def test_a_board_has_two_halves_of_one_size() -> None:
    board = checkerboard((128, 192))
    assert board.mean() == 0.5 and board[0, 0] and not board[0, 64] and not board[64, 0]


@pytest.mark.parametrize(
    ("moving", "options", "words"),
    [
        (PLANE[:20], {}, "at least 24x24"),
        (SCENE, {}, "one finite channel"),
        (np.full(SHAPE, np.nan), {}, "NaN or infinity"),
        (PLANE, {"weights": PLANE[:-1]}, "one weight per pixel"),
    ],
)
def test_refusals_teach(moving: np.ndarray, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        register(moving, PLANE, **options)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(OptionError, match="shift, affine, homography"):
        register(PLANE, PLANE, "rigid")
