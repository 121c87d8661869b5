"""Trains the small learnt baselines that allfocus carries: narrow DPDNets and a narrow DMENet, on simulated samples.

    python tools/small_baselines.py --samples runs/ablation/samples -o runs/small [--only dpdnet-s-small]

`--samples` is a folder that `allfocus prepare --views` (or benchmarks/ablation.py) filled. A run that was stopped
continues. Weights (float16) and cards go to src/allfocus/weights/baselines. They are small on purpose and trained for
minutes: they show that each method runs from training to table, not what the published ones can do.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from allfocus.checkpoints.baseline import save
from allfocus.data.cache import SampleCache
from allfocus.nets.dmenet import DMENet
from allfocus.nets.dpdnet import DPDNet
from allfocus.train.config import LossWeights, NetConfig, TrainConfig
from allfocus.train.loop import train
from allfocus.train.recipes import recipe
from allfocus.train.state import load_averaged
from allfocus.train.trained_on import training_data
from allfocus.weights.card import Card
from allfocus.weights.store import CARD_SUFFIX, SHIPPED, sha256

DPDNET_REACH_PX = 144
DMENET_REACH_PX = 256
FAILURES = {
    "dpdnet": (
        "A fifth of the published width and minutes of training: it does not represent the published DPDNet.",
        "It draws the whole picture anew instead of adding to it, so sharp photos lose detail.",
        "It has seen simulated defocus only.",
    ),
    "dmenet": (
        "A fifth of the published width and minutes of training: it does not represent the published DMENet.",
        "Trained on simulated blur maps alone, without the perceptual, binary and adversarial terms of the paper.",
        "Blur radii above 7.5 px are all the same to it.",
    ),
}


def settings(name: str, options: argparse.Namespace) -> TrainConfig:
    """The recipe of the published network, narrower, shorter and with an optimiser for short runs."""
    base = recipe(name.removesuffix("-small"))
    short = replace(
        base,
        steps=options.steps,
        batch=options.batch,
        patch_px=options.patch,
        net=NetConfig(width=options.width),
        optimiser="adamw",
        learning_rate=2e-3,
        warmup=100,
        schedule="cosine",
        clip_norm=1.0,
        ema=0.99,
        precision=options.precision,
        threads=options.threads,
        validate_every=options.steps,
        save_every=max(1, options.steps // 10),
    )
    if name.startswith("dmenet"):
        return short
    return replace(short, loss=LossWeights(distance="charbonnier", fourier=0.1, disparity=0.0))


def card(name: str, net: DPDNet | DMENet, weights: Path, config: TrainConfig, step: int, cache: SampleCache) -> Card:
    """What the weights are."""
    is_dpdnet = isinstance(net, DPDNet)
    sizes: dict[str, Any] = asdict(net.sizes) if isinstance(net, DPDNet) else {"scale": net.scale}
    return Card(
        name=name,
        architecture={"dpdnet" if is_dpdnet else "dmenet": sizes},
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        multiple=net.multiple,
        context_px=DPDNET_REACH_PX if is_dpdnet else DMENET_REACH_PX,
        sha256=sha256(weights),
        licence="Apache-2.0",
        views=net.sizes.views if isinstance(net, DPDNet) else 1,
        outputs=("sharp",) if is_dpdnet else ("defocus",),
        trained_on=training_data(Path(cache.spec.photos), cache.spec.left_out),
        simulator=cache.spec.simulator,
        steps=step,
        seed=config.seed,
        known_failures=FAILURES["dpdnet" if is_dpdnet else "dmenet"],
        command=f"python tools/small_baselines.py --only {name} --steps {step} --samples DIR -o DIR",
    )


def main() -> None:
    """Train and release."""
    options = _arguments()
    torch.set_num_threads(options.threads)
    cache = SampleCache(options.samples)
    folder = SHIPPED / "baselines"
    folder.mkdir(exist_ok=True)
    for name in options.only:
        config = settings(name, options)
        run = options.output / name
        train(config, cache, run, report=lambda line, name=name: print(f"{name}: {line}", flush=True))
        config, net, step = load_averaged(run)
        weights = folder / f"{name}.safetensors"
        save(net, weights)
        card(name, net, weights, config, step, cache).write(weights.with_suffix(CARD_SUFFIX))
        print(f"{weights.name}: {weights.stat().st_size / 1e6:.2f} MB, {step} steps", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, required=True, help="folder of samples with views")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for checkpoints")
    names = ("dpdnet-s-small", "dpdnet-d-small", "dmenet-small")
    parser.add_argument("--only", nargs="*", default=list(names), choices=names)
    parser.add_argument("--width", type=int, default=12, help="of 64")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--patch", type=int, default=160)
    parser.add_argument("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
