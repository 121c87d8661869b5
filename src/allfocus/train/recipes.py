"""The recipes: settings of one run by name, each a function; `allfocus train --recipe NAME --show` prints all of them.

What made the shipped weights is several runs in a row: `provenance.py`.

What is worth a flag differs from lab to lab, so every recipe can be changed setting by setting (`--set`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from allfocus.data.augment import AugmentConfig
from allfocus.errors import OptionError
from allfocus.train.config import LossWeights, NetConfig, TrainConfig

PAPER_LOSS = LossWeights(distance="squared", fourier=0.0, disparity=0.0, warp=1.0, reblur=1.0)
"""The paper's three terms, weights 1, plain means."""
OUR_LOSS = LossWeights(deblur=1.0, distance="charbonnier", fourier=0.1, disparity=0.05)
"""Charbonnier distance, spectra, and the simulator's disparity."""
PAPER_AUGMENT = AugmentConfig(
    flips=False, turns=False, reduce_chance=0.5, reduce_to=(0.7, 1.0), noise_chance=0.05, grey_chance=0.3
)
PUBLISHED = TrainConfig(warmup=0, schedule="drops", ema=0.0, precision="32-true")
"""What papers have in common: no warm-up, a rate that drops in steps, the last weights, float32."""
OUR_AUGMENT = AugmentConfig(reduce_chance=0.3, reduce_to=(0.5, 1.0), dark_chance=0.25)


def ifan_paper(tied: bool = False) -> TrainConfig:
    """IFAN as published: 600,000 steps of RAdam on crops of 256 px, three losses, no flips.

    Args:
        tied: as the released checkpoints were trained, with the vertical filters in the horizontal pass.
    """
    return replace(
        PUBLISHED, architecture="ifan-tied" if tied else "ifan",
        steps=600_000, batch=8, patch_px=256, optimiser="radam", learning_rate=1e-4, drop_at=(500 / 600, 550 / 600),
        weight_decay=0.01, residual_gain=1.0, validate_every=5_000, save_every=1_000,
        loss=PAPER_LOSS, augment=PAPER_AUGMENT,
    )  # fmt: skip


def ifan() -> TrainConfig:
    """Ours at full resolution: every term, flips, cosine, averaged weights, crops that grow."""
    return TrainConfig(
        architecture="ifan", identity_filters=True, coarse_chance=0.1,
        steps=45_000, patch_px=[128, 192, 256], learning_rate=3e-4, reblurring_rate=0.1, warmup=500,
        loss=replace(OUR_LOSS, warp=0.1, reblur=0.1), augment=OUR_AUGMENT,
    )  # fmt: skip


def ifan_fast() -> TrainConfig:
    """Ours on half-size features, by Muon, as the shipped weights; no dual-pixel views needed, so every quarter turn is
    allowed."""
    return TrainConfig(
        architecture="ifan-fast", identity_filters=True, coarse_chance=0.1,
        steps=20_000, patch_px=[160, 192], optimiser="muon", learning_rate=5e-4, warmup=200,
        loss=OUR_LOSS, augment=OUR_AUGMENT,
    )  # fmt: skip


def ifan_dual() -> TrainConfig:
    """Filters from both dual-pixel views, which tell the side of the focus: half of the samples have it exchanged."""
    config = ifan()
    return replace(
        config,
        architecture="ifan-dual",
        augment=replace(config.augment, exchange_chance=0.5),
        loss=replace(config.loss, disparity=1.0),
    )


def ifan_dual_fast() -> TrainConfig:
    """The same on half-size features."""
    return replace(ifan_dual(), architecture="ifan-dual-fast", steps=20_000, patch_px=[160, 192])


def finetune() -> TrainConfig:
    """From shipped weights to one lens or one set of pairs, in an evening on a CPU: short, low rate, no supervision."""
    return TrainConfig(
        architecture="ifan-fast", start_from="ifan-fast",
        steps=1_500, batch=4, patch_px=160, learning_rate=1e-4, warmup=50, ema=0.995,
        validate_every=500, save_every=250, loss=replace(OUR_LOSS, disparity=0.0),
    )  # fmt: skip


def smoke() -> TrainConfig:
    """A few steps of a tiny network, to check the installation."""
    return TrainConfig(
        architecture="ifan-fast", net=NetConfig(width=4, iterations=2),
        steps=20, batch=2, patch_px=64, warmup=2, log_every=5, validate_every=20, save_every=10, loss=OUR_LOSS,
    )  # fmt: skip


def dpdnet_s() -> TrainConfig:
    """DPDNet from one photo, as its authors trained it: squared distance, Adam, crops of 512 px, batch of 5."""
    return replace(
        PUBLISHED, architecture="dpdnet-s",
        steps=200_000, batch=5, patch_px=512, optimiser="adam", learning_rate=2e-5, drop_at=(0.3, 0.6, 0.9),
        weight_decay=0.0, clip_norm=100.0,
        loss=LossWeights(distance="squared", fourier=0.0, disparity=0.0),
        augment=AugmentConfig(flips=False, turns=False),
    )  # fmt: skip


def dpdnet_d() -> TrainConfig:
    """DPDNet from both views."""
    return replace(dpdnet_s(), architecture="dpdnet-d")


def dmenet() -> TrainConfig:
    """DMENet as a regressor of simulated blur maps, at a quarter of the published widths; auxiliary maps on."""
    return TrainConfig(
        architecture="dmenet", net=NetConfig(width=16),
        steps=10_000, batch=8, patch_px=240, optimiser="adam", learning_rate=1e-4, warmup=100, weight_decay=0.0,
        clip_norm=10.0, loss=LossWeights(fourier=0.0, disparity=0.0),
    )  # fmt: skip


def ablation(row: str) -> TrainConfig:
    """A row of the paper's ablation table, with our optimiser, on full-size features.

    Args:
        row: "none", "d", "f", "fd", "fr" or "fdr": filters, disparity loss, reblurring loss.
    """
    loss = replace(PAPER_LOSS, warp=1.0 if "d" in row else 0.0, reblur=1.0 if "r" in row else 0.0)
    return TrainConfig(
        architecture=f"ablation-{row}", identity_filters=True,
        steps=20_000, patch_px=192, learning_rate=3e-4, reblurring_rate=0.1,
        loss=loss, augment=AugmentConfig(turns=False),
    )  # fmt: skip


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "ifan-paper": ifan_paper,
    "ifan-paper-tied": lambda: ifan_paper(tied=True),
    "ifan": ifan,
    "ifan-fast": ifan_fast,
    "ifan-dual": ifan_dual,
    "ifan-dual-fast": ifan_dual_fast,
    "finetune": finetune,
    "smoke": smoke,
    "dpdnet-s": dpdnet_s,
    "dpdnet-d": dpdnet_d,
    "dmenet": dmenet,
    **{f"ablation-{row}": (lambda row=row: ablation(row)) for row in ("none", "d", "f", "fd", "fr", "fdr")},
}


def recipe(name: str) -> TrainConfig:
    """The configuration of this name. OptionError: there is none."""
    if name not in RECIPES:
        raise OptionError(f"no recipe is called {name!r}", f"one of {', '.join(RECIPES)}", "--recipe ifan-fast")
    return RECIPES[name]()
