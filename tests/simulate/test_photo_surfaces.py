"""One photo parted where its depth jumps."""

from __future__ import annotations

import torch

from allfocus.simulate.masks import softened
from allfocus.simulate.photo_surfaces import extended, fill, labels_by_depth


def test_slopes_stay_whole_and_jumps_part() -> None:
    ramp = torch.linspace(0.0, 1.0, 96)[:, None].expand(96, 96).contiguous()
    assert int(labels_by_depth(ramp).max()) == 0
    stepped = ramp * 0.2
    stepped[:, 60:] += 0.6
    labels = labels_by_depth(stepped)
    assert int(labels.max()) == 1
    assert not labels[:, :60].any() and labels[:, 60:].all()
    stepped[:20, :20] = 1.5
    labels = labels_by_depth(stepped)
    assert int(labels.max()) == 2 and bool((labels[:20, :20] == 2).all())


def test_a_flat_map_is_one_part() -> None:
    assert not labels_by_depth(torch.full((40, 40), 0.3)).any()


def test_hidden_parts_are_continued_only_nearby() -> None:
    own = torch.zeros(40, 40, dtype=torch.bool)
    own[:, :10] = True
    nearer = torch.zeros(40, 40, dtype=torch.bool)
    nearer[:, 10:30] = True
    wide = extended(own, nearer, 5)
    assert wide[:, :15].all() and not wide[:, 15:].any()
    assert float(softened(wide)[20, 14]) > 0.5 > float(softened(wide)[20, 15])


def test_filling_keeps_what_is_known_and_spreads_it() -> None:
    colours = torch.full((3, 64, 64), 0.7)
    colours[:, 20:30, 20:30] = 0.0
    known = torch.ones(64, 64)
    known[20:30, 20:30] = 0.0
    filled = fill(colours, known)
    assert torch.allclose(filled, torch.full_like(filled, 0.7), atol=1e-4)
    lonely = torch.zeros(64, 64)
    lonely[5, 5] = 1.0
    assert torch.allclose(fill(colours, lonely), torch.full_like(colours, 0.7), atol=1e-4)
