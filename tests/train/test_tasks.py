"""What can be trained: every network with the losses of its row, each loss a switch, and how each is scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from allfocus.data.batch import Batch
from allfocus.data.pairs import PairImages
from allfocus.errors import DataError, OptionError, WeightsError
from allfocus.metrics.lpips import FOLDER_VARIABLE
from allfocus.train.config import LossWeights, NetConfig, TrainConfig
from allfocus.train.launch import open_fabric
from allfocus.train.state import TrainState, average
from allfocus.train.tasks.registry import BASELINES, build

TINY = NetConfig(width=4, iterations=2)
OFF = LossWeights(fourier=0.0, disparity=0.0)


def batch(side: int = 64) -> Batch:
    generator = torch.Generator().manual_seed(0)
    centre, sharp, left, right = (torch.rand(2, 3, side, side, generator=generator) for _ in range(4))
    return Batch(centre, sharp, torch.full((2, 1, side // 8, side // 8), 3.0), left, right)


def ifan(name: str = "ifan-fast", **weights: float) -> TrainConfig:
    return TrainConfig(architecture=name, net=TINY, loss=replace(OFF, reblurring_iterations=2, **weights))


@pytest.mark.parametrize("term", ["fourier", "disparity", "warp", "reblur"])
def test_each_loss_is_a_switch(term: str) -> None:
    on, off = build(ifan(**{term: 1.0})), build(ifan())
    assert set(on(batch())) == {"deblur", term}
    assert set(off(batch())) == {"deblur"}
    assert off.needs == frozenset()
    assert on.needs == {"fourier": set(), "disparity": {"coc"}, "warp": {"left", "right"}, "reblur": set()}[term]


def test_the_perceptual_term_wants_the_files_of_lpips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(WeightsError, match="two weight files of LPIPS-Alex"):
        build(ifan(perceptual=0.1))(batch())


def test_weights_to_start_from_have_their_residual_scaled(tmp_path: Path) -> None:
    config = replace(TrainConfig(), net=TINY)
    fabric = open_fabric(config, "cpu")
    TrainState.start(config, fabric).save(tmp_path)
    plain = replace(config, start_from=str(tmp_path))
    once, twice = (TrainState.start(replace(plain, start_gain=gain), fabric).task.net for gain in (1.0, 2.0))
    centre = batch().centre
    with torch.no_grad():
        torch.testing.assert_close(twice(centre).residual, 2 * once(centre).residual, rtol=1e-5, atol=1e-6)


def test_averaged_weights_lie_between() -> None:
    config = replace(TrainConfig(), net=TINY)
    fabric = open_fabric(config, "cpu")
    net, *others = (TrainState.start(replace(config, seed=seed), fabric).task.net for seed in (1, 2, 3))
    wanted = [
        0.5 * ours + 0.25 * second + 0.25 * third
        for ours, second, third in zip(net.parameters(), *(one.parameters() for one in others), strict=True)
    ]
    average(net, others, 0.5)
    for ours, between in zip(net.parameters(), wanted, strict=True):
        torch.testing.assert_close(ours, between)
    with pytest.raises(OptionError, match=r"a share of 1\.5; expected a number from 0 to 1"):
        average(net, others, 1.5)


def test_the_warp_loss_reads_the_disparity_of_the_right_view() -> None:
    task = build(ifan(warp=1.0))
    whole = batch()
    first = task(whole)["warp"]
    assert torch.equal(task(whole._replace(centre=whole.sharp))["warp"], first)
    assert not torch.equal(task(whole._replace(right=whole.sharp))["warp"], first)


def test_supervision_sees_what_is_estimated_from_the_photo_and_from_the_right_view() -> None:
    whole = batch()
    seen_alone, seen_with_views = build(ifan(disparity=1.0)), build(ifan(disparity=1.0, warp=1.0))
    for task, matters in ((seen_alone, False), (seen_with_views, True)):
        changed = whole._replace(right=whole.sharp)
        assert torch.equal(task(changed)["disparity"], task(whole)["disparity"]) is not matters
        assert not torch.equal(task(whole._replace(centre=whole.sharp))["disparity"], task(whole)["disparity"])


def test_each_term_reaches_the_part_it_teaches() -> None:
    for term, part in (
        ("disparity", "disparity_estimator"),
        ("warp", "disparity_estimator"),
        ("reblur", "filter_head"),
    ):
        task = build(ifan(**{term: 1.0}))
        task(batch())[term].backward()
        gradient = getattr(task.net, part).project.weight.grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("row", ["none", "d", "f", "fd", "fr", "fdr"])
def test_every_ablation_network_learns_from_its_losses(row: str) -> None:
    weights = {"warp": float("d" in row), "reblur": float("r" in row)}
    task = build(ifan(f"ablation-{row}", **weights))
    terms = task(batch())
    assert set(terms) == {"deblur", *(name for name, weight in weights.items() if weight)}
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in task.parameters())


def test_a_term_that_a_network_cannot_learn_from_is_refused() -> None:
    with pytest.raises(OptionError, match=r"loss\.warp for FiltersOnly, which has no disparity estimator"):
        build(ifan("ablation-f", warp=1.0))
    with pytest.raises(OptionError, match=r"loss\.reblur for Plain, which has no filter head"):
        build(ifan("ablation-none", reblur=1.0))


@pytest.mark.parametrize("name", [*BASELINES, "ifan-dual-fast"])
def test_views_and_widths_fit_every_network(name: str) -> None:
    task = build(TrainConfig(architecture=name, net=TINY, loss=OFF))
    terms = task(batch())
    assert all(term.isfinite() and term.ndim == 0 for term in terms.values())
    assert task.picture(task.net, batch()).shape == (2, 3, 64, 64)
    assert task.needs >= ({"left", "right"} if "-d" in name else set())


def test_filters_that_start_as_the_identity_let_features_through() -> None:
    whole = batch()
    through = []
    for identity in (False, True):
        config = TrainConfig(net=NetConfig(width=8), loss=OFF, identity_filters=identity)
        torch.manual_seed(0)
        net = build(config).net
        with torch.no_grad():
            features = net.feature_extractor(net._fold(whole.centre))[-1]
            embedding = net.filter_encoder(net._fold(whole.centre))[-1]
            seen, unseen = (net.middle(part, embedding, False)[0] for part in (features, 0 * features))
            through.append(((seen - unseen).abs().mean() / features.abs().mean()).item())
    assert through[0] < 0.01
    assert 0.1 < through[1] < 10


@pytest.mark.parametrize("tied", [False, True])
def test_reblurring_through_open_filters_does_not_explode(tied: bool) -> None:
    net = NetConfig(width=16, tied=tied)
    torch.manual_seed(0)
    for identity in (False, True):
        task = build(TrainConfig(net=net, loss=replace(OFF, reblur=1.0), identity_filters=identity))
        assert task(batch())["reblur"] < 1


def test_filters_of_foreign_weights_are_opened_only_where_they_are_closed() -> None:
    task = build(TrainConfig(net=NetConfig(width=8), loss=OFF, identity_filters=True))
    closed = build(TrainConfig(net=NetConfig(width=8), loss=OFF)).net.state_dict()
    name = "filter_head.project.bias"
    task.net.load_state_dict(closed)
    task.filled()
    opened = task.net.state_dict()[name].clone()
    assert opened.sum() == closed[name].sum() + 2 * 17 * 32  # as many passes as taps at the centre
    task.net.load_state_dict({**closed, name: opened * 0.9})
    task.filled()
    torch.testing.assert_close(task.net.state_dict()[name], opened * 0.9)


def test_dpdnet_sees_the_left_view_first_and_ifan_the_right_one() -> None:
    whole = batch()
    for name in ("dpdnet-d", "ifan-dual-fast"):
        task = build(TrainConfig(architecture=name, net=TINY, loss=OFF)).eval()
        swapped = whole._replace(left=whole.right, right=whole.left)
        assert not torch.equal(task.picture(task.net, whole), task.picture(task.net, swapped))


def test_scores_of_whole_photos_of_any_size() -> None:
    rng = np.random.default_rng(0)
    photo = rng.random((37, 51, 3)).astype(np.float32)
    coc = np.repeat(np.linspace(0, 7, 51, dtype=np.float32)[None], 37, axis=0)
    scene = PairImages(photo, photo, coc_px=coc)
    one = build(ifan())
    assert set(one.score(one.net, scene, None)) == {"psnr", "psnr_fit", "ssim"}
    maps = build(TrainConfig(architecture="dmenet", net=TINY, loss=OFF)).eval()
    scores = maps.score(maps.net, scene, None)
    assert 0 <= scores["mae_px"] <= 7.5
    assert -1 <= scores["spearman"] <= 1
    with pytest.raises(DataError, match="without blur maps"):
        maps.score(maps.net, replace(scene, coc_px=None), None)
    two = build(TrainConfig(architecture="dpdnet-d", net=TINY, loss=OFF))
    with pytest.raises(DataError, match="without dual-pixel views"):
        two.score(two.net, scene, None)
