"""How far a network looks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from allfocus.nets.ifan import IFAN
from allfocus.nets.inherit import inherit
from allfocus.train.reach import LARGEST_PX, STEP_PX, measure_reach


def test_two_equal_views_reach_as_far_as_one_photo() -> None:
    torch.manual_seed(0)
    one = IFAN(iterations=1, unshuffle=2, width=4).eval()
    both = IFAN(iterations=1, unshuffle=2, width=4, views=2).eval()
    inherit(one, both)
    photo = np.random.default_rng(0).random((512, 512, 3), np.float32)
    reach = measure_reach(one, [photo])
    assert reach % STEP_PX == 0
    assert 0 < reach <= LARGEST_PX
    assert measure_reach(both, [photo]) == reach


class LooksUp(torch.nn.Module):
    """A planted reach: the residual of a pixel is the pixel so many rows above it."""

    views = 1

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, photo: torch.Tensor, pair: torch.Tensor | None = None) -> SimpleNamespace:
        return SimpleNamespace(residual=torch.roll(photo, self.rows, dims=2))


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40, 160])
def test_a_planted_reach_is_found_to_the_step(rows: int) -> None:
    photo = np.random.default_rng(1).random((512, 512, 3), np.float32)
    assert measure_reach(LooksUp(rows), [photo]) == -(-rows // STEP_PX) * STEP_PX  # type: ignore[arg-type]


def test_a_reach_below_the_tolerance_does_not_count() -> None:
    photo = np.random.default_rng(1).random((512, 512, 3), np.float32)
    assert measure_reach(LooksUp(40), [photo], tolerance=1.0) == 0  # type: ignore[arg-type]
    assert measure_reach(LooksUp(40), [np.full_like(photo, 0.5), photo]) == 48  # type: ignore[arg-type]


def test_a_network_that_changes_nothing_needs_no_context() -> None:
    net = IFAN(iterations=1, unshuffle=2, width=4).eval()
    for parameter in net.decoder.out.parameters():
        torch.nn.init.zeros_(parameter)
    assert measure_reach(net, [np.ones((512, 512, 3), np.float32)]) == 0


def test_a_photo_smaller_than_the_largest_context_will_do() -> None:
    photo = np.random.default_rng(1).random((200, 300, 3), np.float32)
    assert measure_reach(LooksUp(20), [photo]) == 32  # type: ignore[arg-type]
