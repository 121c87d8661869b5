"""What a child of the family does before it has learnt anything itself."""

import pytest
import torch
from torch.nn import functional

from allfocus.nets.ifan import IFAN
from allfocus.nets.inherit import can_inherit, inherit


@pytest.fixture(scope="module")
def parent() -> IFAN:
    torch.manual_seed(3)
    return IFAN(iterations=2, unshuffle=2, width=4).eval()


@pytest.mark.parametrize("unshuffle", [2, 4])
def test_full_size_gives_the_mean_of_what_the_parent_gives_for_the_photo_with_every_px_repeated(unshuffle: int) -> None:
    torch.manual_seed(3)
    parent, child = IFAN(iterations=2, unshuffle=unshuffle, width=4).eval(), IFAN(iterations=2, width=4).eval()
    assert can_inherit(parent, child)
    inherit(parent, child)
    linear = parent.decoder.out, child.decoder.out  # a linear end, to compare exactly
    photo = torch.rand(1, 3, 32, 48)
    repeated = photo.repeat_interleave(unshuffle, dim=2).repeat_interleave(unshuffle, dim=3)
    with torch.no_grad():
        for end in linear:
            end[1].negative_slope = 1.0
        theirs, ours = parent(repeated), child(photo)
        for end in linear:
            end[1].negative_slope = 0.1
    assert torch.allclose(ours.residual, functional.avg_pool2d(theirs.residual, unshuffle), atol=1e-5)
    assert torch.allclose(ours.disparity, theirs.disparity, atol=1e-5)


def test_equal_views_give_what_the_single_photo_gave(parent: IFAN) -> None:
    child = IFAN(iterations=2, unshuffle=2, width=4, views=2).eval()
    inherit(parent, child)
    photo = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        ours = child(photo, torch.cat([photo, photo], dim=1))
        theirs = parent(photo)
    assert torch.allclose(ours.sharp, theirs.sharp, atol=1e-5)
    assert torch.allclose(ours.disparity, theirs.disparity, atol=1e-5)


def test_views_that_differ_are_told_apart_from_the_first_step(parent: IFAN) -> None:
    child = IFAN(iterations=2, unshuffle=2, width=4, views=2).eval()
    inherit(parent, child)
    right, left = torch.rand(2, 1, 3, 32, 48)
    with torch.no_grad():
        one, other = (child.estimate_disparity(torch.cat(pair, dim=1)) for pair in ((right, left), (left, right)))
    assert (one - other).abs().mean() > 0.1 * one.abs().mean()


def test_full_size_and_both_views_at_once(parent: IFAN) -> None:
    one, both = IFAN(iterations=2, width=4).eval(), IFAN(iterations=2, width=4, views=2).eval()
    inherit(parent, one)
    inherit(parent, both)
    photo = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(both(photo, torch.cat([photo, photo], 1)).sharp, one(photo).sharp, atol=1e-5)


@pytest.mark.parametrize("other", [{"iterations": 3}, {"tied": True}, {"width": 8}])
def test_other_networks_are_no_children(parent: IFAN, other: dict[str, int]) -> None:
    assert not can_inherit(parent, IFAN(**{"iterations": 2, "width": 4, **other}))
    assert not can_inherit(IFAN(iterations=2, width=4), parent)  # half size does not come from full size
    assert not can_inherit(IFAN(iterations=2, width=4, unshuffle=4), parent)  # nor from quarter size
