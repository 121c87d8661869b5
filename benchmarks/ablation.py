"""Does each idea of IFAN help? The paper's ablation and tied against untied filters, with an equal small budget.

    python benchmarks/ablation.py --photos DIR --leave-out src/allfocus/weights/held_out.txt --real DIR --syndp DIR \
        --lpips DIR -o runs/ablation --seeds 2

Trains the six rows of the paper's table and F+D+R with tied filters: the same simulated samples with dual-pixel views,
the same crops in the same order, the same number of steps, networks of half the width on the 2x unshuffled photo. Each
is scored as `allfocus eval` does, whole photos through the network at full size (no tiles, no coarser scales), on real
pairs and on SynDP. Samples, checkpoints and scores are kept: a run that was stopped continues.

Filters start as the identity: from the paper's initialisation predicted taps are near 0, 2N passes multiply features
by nothing, and a short training cannot change that (docs/evaluation.md).

`allfocus tables` makes its ablation tables from the scores in results/; results/ablation.csv holds every training,
results/ablation.json the conditions and the differences.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from allfocus.atomic_file import write_json, write_text
from allfocus.checkpoints.native import save
from allfocus.data.cache import CacheSpec, SampleCache, render_cache
from allfocus.data.pairs import PairImages, PairSet
from allfocus.data.registry import load
from allfocus.evaluate import methods
from allfocus.evaluate.cost import cost_of_architecture
from allfocus.evaluate.measure import machine
from allfocus.evaluate.method import Conditions, MethodInput, Outcome
from allfocus.evaluate.methods import MethodSpec
from allfocus.evaluate.run import EvaluationOptions, evaluate
from allfocus.evaluate.tables import SEED, TIED
from allfocus.simulate.simulator import SimulatorConfig
from allfocus.train.config import NetConfig, TrainConfig
from allfocus.train.launch import open_fabric
from allfocus.train.loop import train
from allfocus.train.recipes import recipe
from allfocus.train.state import load_averaged
from allfocus.train.tasks.deblurring import Deblurring
from allfocus.train.tasks.registry import build, ifan_architecture
from allfocus.weights.store import sha256

ROWS = ("none", "d", "f", "fd", "fr", "fdr")
VARIANTS = (*(f"ablation-{row}" for row in ROWS), TIED)
KEPT = ("net", "steps", "batch", "patch_px", "learning_rate", "precision", "optimiser")
SCORES = ("psnr", "psnr_fit", "ssim", "mae", "lpips")
COMPARED = (
    ("F helps", "ablation-f", "ablation-none"),
    ("D helps without F", "ablation-d", "ablation-none"),
    ("D helps beside F", "ablation-fd", "ablation-f"),
    ("R helps beside F", "ablation-fr", "ablation-f"),
    ("D helps beside F and R", "ablation-fdr", "ablation-fr"),
    ("R helps beside F and D", "ablation-fdr", "ablation-fd"),
    ("untied filters help", "ablation-fdr", TIED),
)
"""What each difference says: the first minus the second; all but the last are positive in the paper."""


def main() -> None:
    """Render, train, score, write."""
    options = _arguments()
    torch.set_num_threads(options.threads)
    cache = _samples(options)
    sets = [(load("pairs", options.real), 1)] if options.real else []
    sets += [(load("syndp", options.syndp), options.every)] if options.syndp else []
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):  # a whole table first, then the next seed
        for variant in VARIANTS:
            if variant in options.only:
                rows += _variant(options, variant, seed, cache, sets)
                _write(options, cache, rows)
    print((options.results / "ablation.csv").read_text(encoding="utf-8"), end="")


def settings(options: argparse.Namespace, variant: str, seed: int) -> TrainConfig:
    """The configuration of a training: the row's recipe, smaller and shorter."""
    row = recipe("ablation-fdr" if variant == TIED else variant)
    return replace(
        row,
        net=NetConfig(width=options.width, iterations=options.iterations, unshuffle=2, tied=variant == TIED or None),
        loss=replace(row.loss, reblurring_iterations=options.iterations),
        steps=options.steps,
        batch=options.batch,
        patch_px=options.patch,
        learning_rate=options.learning_rate,
        warmup=options.steps // 10,
        ema=0.99,
        seed=seed,
        precision=options.precision,
        threads=options.threads,
        validate_every=options.steps,
        save_every=max(1, options.steps // 4),
    )


class Trained:
    """A network of this script as a method of `allfocus eval`."""

    upright = True

    def __init__(self, label: str, config: TrainConfig, net: nn.Module, weights: Path) -> None:
        task = build(config)
        assert isinstance(task, Deblurring)
        self.label, self.task, self.net = label, task, net
        self.conditions = Conditions(
            "model",
            precision="float32",
            weights_sha256=sha256(weights),
            settings={"steps": config.steps, "batch": config.batch, "patch_px": config.patch_px, "seed": config.seed},
            cost=cost_of_architecture(asdict(ifan_architecture(config))),
        )

    def restore(self, given: MethodInput) -> Outcome:
        """The whole photo through the network."""
        return Outcome(self.task.restore(self.net, PairImages(given.photo, given.photo)))


def _variant(
    options: argparse.Namespace, variant: str, seed: int, cache: SampleCache, sets: Sequence[tuple[PairSet, int]]
) -> list[dict[str, Any]]:
    """The rows of one training, one a set."""
    label = f"{variant}{SEED}{seed}"
    folder = options.output / label
    config = settings(options, variant, seed)
    seconds = _train(config, cache, folder, label)
    config, net, _ = load_averaged(folder)
    weights = folder / "weights.safetensors"
    save(net, ifan_architecture(config), weights, dtype=torch.float32)
    methods.REGISTRY[label] = lambda spec, _: Trained(spec.label, config, net, weights)
    rows = []
    for pairs, every in sets:
        wanted = EvaluationOptions(
            options.results, lpips=options.lpips, every=every, command="python benchmarks/ablation.py"
        )
        for step in evaluate(pairs, [MethodSpec(label)], wanted):
            if isinstance(step, dict):
                scores = {name: step["scores"][name] for name in SCORES if step["scores"][name] is not None}
                counted = {"set": pairs.name, "images": step["images"]}
                rows.append({"variant": variant, "seed": seed, **counted, **scores, "training_s": round(seconds)})
    parameters = sum(one.numel() for one in net.parameters())
    print(f"{label}: {parameters:,} parameters, " + _said(rows), flush=True)
    return [{**row, "parameters": parameters} for row in rows]


def _train(config: TrainConfig, cache: SampleCache, folder: Path, label: str) -> float:
    """Train to the end or find it done; seconds of the training, 0 where it was stopped in between."""
    clock = folder / "seconds.json"
    if clock.is_file():
        return float(json.loads(clock.read_text(encoding="utf-8")))
    fabric = open_fabric(config)
    resumed = (folder / "last.pt").is_file()
    started = time.perf_counter()
    train(config, cache, folder, fabric=fabric, report=lambda line: print(f"{label}: {line}", flush=True))
    seconds = 0.0 if resumed else time.perf_counter() - started
    clock.write_text(json.dumps(seconds), encoding="utf-8")
    return seconds


def _samples(options: argparse.Namespace) -> SampleCache:
    left_out = [] if options.leave_out is None else options.leave_out.read_text(encoding="utf-8").split()
    simulator = SimulatorConfig(crop_px=options.side).to_dict()
    spec = CacheSpec(options.samples, options.side, options.seed, str(options.photos), left_out, simulator, views=True)
    return render_cache(
        spec,
        options.output / "samples",
        workers=options.workers,
        progress=lambda done, count: print(f"{done}/{count} samples", flush=True),
    )


def _said(rows: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{row['set']} PSNR {row['psnr']:.3f} PSNR-fit {row['psnr_fit']:.3f}" for row in rows)


def differences(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The differences of `COMPARED` on every set, seed by seed and their mean, in dB of PSNR and PSNR-fit."""
    scores = {(row["set"], row["variant"], row["seed"]): row for row in rows}
    found = []
    for name in dict.fromkeys(row["set"] for row in rows):
        seeds = sorted({row["seed"] for row in rows if row["set"] == name})
        for claim, better, worse in COMPARED:
            pairs = [(scores.get((name, better, seed)), scores.get((name, worse, seed))) for seed in seeds]
            known = [(one, other) for one, other in pairs if one is not None and other is not None]
            if known:
                by_score = {
                    score: [round(float(one[score]) - float(other[score]), 4) for one, other in known]
                    for score in ("psnr", "psnr_fit")
                }
                means = {f"{score}_mean": round(statistics.fmean(values), 4) for score, values in by_score.items()}
                found.append({"set": name, "claim": claim, **by_score, **means})
    return found


def _write(options: argparse.Namespace, cache: SampleCache, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = ("variant", "seed", "set", "images", *SCORES, "parameters", "training_s")
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.5f}" if isinstance(value, float) else value for name, value in row.items()})
    write_text(options.results / "ablation.csv", text.getvalue())
    config = settings(options, VARIANTS[0], 0).to_dict()
    record = {
        "what": "the paper's ablation with a small equal budget; differences in dB, one entry a seed",
        "machine": machine(),
        "samples": {"count": len(cache), "side_px": cache.side_px, "seed": cache.spec.seed, "views": True},
        "training": {
            name: config[name] for name in ("net", "steps", "batch", "patch_px", "learning_rate", "precision")
        },
        "seeds": sorted({row["seed"] for row in rows}),
        "differences": differences(rows),
    }
    write_json(options.results / "ablation.json", record)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--leave-out", type=Path, default=None, help="text file naming photos that are not used")
    parser.add_argument("--real", type=Path, default=None, help="folder with source/ and target/")
    parser.add_argument("--syndp", type=Path, default=None, help="folder of SynDP; made there if it is new")
    parser.add_argument("--every", type=int, default=1, help="only every Nth scene of SynDP")
    parser.add_argument("--lpips", type=Path, default=None, help="folder of the LPIPS files")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for samples and checkpoints")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), help="some of the variants")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each variant")
    parser.add_argument("--samples", type=int, default=768)
    parser.add_argument("--side", type=int, default=224, help="of a sample in px")
    parser.add_argument("--seed", type=int, default=3_000_000, help="of the first sample")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--patch", type=int, default=160, help="side of the crops in px, a multiple of 16")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=8, help="of the adaptive convolution")
    parser.add_argument("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    return parser.parse_args()


if __name__ == "__main__":
    main()
