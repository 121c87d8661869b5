"""Muon beside torch's own, and AdamW where it is AdamW."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import Tensor, nn

from allfocus.train.muon import COEFFICIENTS, ROUNDS, Muon, is_matrix, orthogonalised

RATE, DECAY = 0.01, 0.1


class Layers(nn.Module):
    """A layer of each kind: first, between many channels, transposed, of one pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3)
        self.inner = nn.Conv2d(32, 16, 3)
        self.transposed = nn.ConvTranspose2d(16, 24, 4)
        self.point = nn.Conv2d(24, 64, 1)


@pytest.fixture
def layers() -> Layers:
    torch.manual_seed(0)
    return Layers()


def give_gradients(net: nn.Module, step: int) -> None:
    draw = torch.Generator().manual_seed(step)
    for weight in net.parameters():
        weight.grad = torch.randn(weight.shape, generator=draw)


def test_only_convolutions_of_more_than_a_pixel_between_many_channels_are_matrices(layers: Layers) -> None:
    found = [name for name, weight in layers.named_parameters() if is_matrix(weight)]
    assert found == ["inner.weight", "transposed.weight"]


@pytest.mark.parametrize("shape", [(16, 144), (40, 24), (16, 16)])
@pytest.mark.parametrize("weakest", [1.0, 1e-5])
def test_singular_values_follow_the_polynomial(shape: tuple[int, int], weakest: float) -> None:
    torch.manual_seed(1)
    left, _, right = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    values = torch.logspace(0, torch.tensor(weakest).log10().item(), min(shape), dtype=torch.float64)
    found = orthogonalised(((left * values) @ right).float())
    values = values / values.norm()
    first, second, third = COEFFICIENTS
    for _ in range(ROUNDS):
        values = first * values + second * values**3 + third * values**5
    torch.testing.assert_close(found.double(), (left * values) @ right, atol=2e-3, rtol=0)


def test_a_gradient_of_zeros_stays_one() -> None:
    assert torch.equal(orthogonalised(torch.zeros(16, 32)), torch.zeros(16, 32))


def test_matrices_step_as_with_torch_s_own_muon(layers: Layers) -> None:
    names = ("inner", "transposed")
    flat = {name: nn.Parameter(getattr(layers, name).weight.detach().flatten(1).clone()) for name in names}
    theirs = torch.optim.Muon(flat.values(), RATE, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    ours = Muon(layers.parameters(), RATE, weight_decay=DECAY)
    before = {name: weight.detach().clone() for name, weight in flat.items()}
    for step in range(4):
        give_gradients(layers, step)
        for name in names:
            flat[name].grad = getattr(layers, name).weight.grad.flatten(1).clone()
        ours.step()
        theirs.step()
    for name in names:
        moved, wanted = (one.detach() - before[name] for one in (getattr(layers, name).weight.flatten(1), flat[name]))
        assert float((moved - wanted).norm()) < 0.02 * float(wanted.norm())  # torch's works in bfloat16


def test_the_rest_steps_as_with_adamw(layers: Layers) -> None:
    other = copy.deepcopy(layers)
    ours, theirs = (kind(net.parameters(), RATE) for kind, net in ((Muon, layers), (torch.optim.AdamW, other)))
    for step in range(3):
        for net, optimiser in ((layers, ours), (other, theirs)):
            give_gradients(net, step)
            optimiser.step()
    for (name, weight), wanted in zip(layers.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(weight, wanted) is not is_matrix(weight), name


def test_a_saved_optimiser_goes_on_alike(layers: Layers) -> None:
    def run(net: nn.Module, optimiser: Muon, steps: range) -> list[Tensor]:
        for step in steps:
            give_gradients(net, step)
            optimiser.step()
        return [weight.detach().clone() for weight in net.parameters()]

    first = Muon(layers.parameters(), RATE)
    run(layers, first, range(2))
    other = copy.deepcopy(layers)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Muon(other.parameters(), 1.0)
    second.load_state_dict(torch.load(file, weights_only=True))
    wanted = run(layers, first, range(2, 4))
    assert all(map(torch.equal, run(other, second, range(2, 4)), wanted))
