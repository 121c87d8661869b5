"""The blocks that only the race of designs has."""

from __future__ import annotations

import pytest
import torch

from allfocus.nets import ifan
from allfocus.nets.blocks import ResidualBlock
from race_blocks import BLOCKS, AttentionBlock, GatedBlock, networks_of


def test_channel_attention_begins_as_the_plain_block() -> None:
    plain, other = ResidualBlock(8, 2), AttentionBlock(8, 2)
    other.load_state_dict(plain.state_dict(), strict=False)
    features = torch.randn(2, 8, 6, 5)
    torch.testing.assert_close(other(features), plain(features))
    other.scales[0].weight.data.normal_()
    assert not torch.allclose(other(features), plain(features))


def test_gates_begin_by_adding_nothing() -> None:
    block, features = GatedBlock(8, 2), torch.randn(2, 8, 6, 5, requires_grad=True)
    torch.testing.assert_close(block(features), features)
    block(features).square().sum().backward()
    assert all(stem.share.grad.abs().max() > 0 for stem in block.stem)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_network_has_the_blocks_that_it_was_made_with(name: str) -> None:
    with networks_of(name):
        net = ifan.IFAN(iterations=2, width=4, unshuffle=2)
    assert sum(isinstance(part, BLOCKS[name]) for part in net.modules()) == 13
    assert net(torch.rand(1, 3, 32, 32)).sharp.shape == (1, 3, 32, 32)
    assert ifan.ResidualBlock is ResidualBlock
