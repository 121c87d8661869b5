from __future__ import annotations

import numpy as np
import pytest

from allfocus.errors import InputError
from allfocus.metrics import channel_means, mae


def test_is_the_mean_over_channels_of_their_means() -> None:
    generator = np.random.default_rng(0)
    restored, target = generator.random((7, 13, 3)), generator.random((7, 13, 3))
    by_channel = [np.abs(restored[..., c] - target[..., c]).mean() for c in range(3)]
    assert mae(restored, target) == pytest.approx(np.mean(by_channel), abs=1e-12)
    assert mae(restored, target) == mae(target, restored)


def test_one_pixel() -> None:
    assert mae(np.full((1, 1, 3), 0.25), np.zeros((1, 1, 3))) == 0.25


def test_channel_means_show_a_colour_shift() -> None:
    scene = np.full((5, 4, 3), 0.5)
    assert channel_means(scene + np.array([0.1, 0.0, -0.1])) == pytest.approx((0.6, 0.5, 0.4))
    with pytest.raises(InputError, match="uint8"):
        channel_means(scene.astype(np.uint8))
