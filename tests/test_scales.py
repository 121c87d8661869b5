"""The working scales that follow from the measured blur, and where each of them acts."""

from __future__ import annotations

import numpy as np
import pytest

from allfocus.defocus.measure import Blur, local_radius_px
from allfocus.errors import OptionError
from allfocus.scales import CONTEXT_PX, check_scale, choose_scales, left_for_full_size, needs_scale
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
