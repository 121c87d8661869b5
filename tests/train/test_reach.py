"""How far a network looks."""

import numpy as np
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


def test_a_network_that_changes_nothing_needs_no_context() -> None:
    net = IFAN(iterations=1, unshuffle=2, width=4).eval()
    for parameter in net.decoder.out.parameters():
        torch.nn.init.zeros_(parameter)
    assert measure_reach(net, [np.ones((512, 512, 3), np.float32)]) == 0
