from __future__ import annotations

import numpy as np
import pytest

from allfocus.capture.frame import Frame, encoded
from allfocus.capture.photometric import IDENTITY, ColourMatch, match_colours
from allfocus.capture.scene import disc_blur

NONE = (0.0, 0.0, 0.0)
PLANTED = ColourMatch((1.6, 1.5, 1.8), (-0.3, -0.25, -0.3), (0.05, 0.0, 0.05), NONE, NONE, NONE, 0, 0.0)


def frame(linear: np.ndarray) -> Frame:
    unit = np.clip(linear, 0, 1).astype(np.float32)
    return Frame(unit, unit.max(axis=2) > 0.985)


def levels(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(encoded(one) - encoded(other)).mean() * 255)


def test_gain_and_vignetting_are_found(drawn: np.ndarray) -> None:
    dark = drawn * 0.4
    found = match_colours(frame(PLANTED.apply(dark)), frame(dark))
    assert levels(found.apply(dark), PLANTED.apply(dark)) < 0.3
    assert found.gain == pytest.approx(PLANTED.gain, abs=0.03)


@pytest.mark.parametrize("both", [False, True])
def test_each_view_is_darkest_about_its_own_middle(drawn: np.ndarray, both: bool) -> None:
    """A rig's views are shifted by a tenth of the picture: vignetting about one common middle is 4 levels off."""
    dark = drawn * 0.4
    warp = np.array([[1.01, 0.02, 30.0], [-0.02, 1.01, -22.0], [0, 0, 1]])
    own = (-0.25, -0.2, -0.25) if both else NONE
    planted = ColourMatch((1.6, 1.5, 1.8), (0.4, 0.3, 0.35), (0.1, 0.1, 0.1), own, NONE, NONE, 0, 0.0)
    source = planted.apply(dark, warp)
    found = match_colours(frame(source), frame(dark), warp=warp)
    assert levels(found.apply(dark, warp), source) < 0.3
    about_one = match_colours(frame(source), frame(dark))
    assert levels(about_one.apply(dark), source) > 1


def test_blur_moves_no_light(drawn: np.ndarray) -> None:
    dark = drawn * 0.4
    blurred = frame(disc_blur(PLANTED.apply(dark), 6.0))
    assert levels(match_colours(blurred, frame(dark)).apply(dark), PLANTED.apply(dark)) < 4
    found = match_colours(blurred, frame(dark), disc_blur(dark, 6.0))
    assert levels(found.apply(dark), PLANTED.apply(dark)) < 0.5


def test_somebody_in_the_picture_counts_little(drawn: np.ndarray) -> None:
    dark = drawn * 0.4
    source = PLANTED.apply(dark).copy()
    source[40:120, 60:150] *= 0.3
    assert levels(match_colours(frame(source), frame(dark)).apply(dark), PLANTED.apply(dark)) < 1.5


def test_clipped_places_say_nothing(drawn: np.ndarray) -> None:
    bright = drawn * 1.4
    found = match_colours(frame(bright * 0.5), frame(bright))
    assert levels(found.apply(drawn), drawn * 0.5) < 1.0


def test_without_anything_to_compare_nothing_changes() -> None:
    black = frame(np.zeros((64, 64, 3)))
    assert match_colours(black, black) == IDENTITY
