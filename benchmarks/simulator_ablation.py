"""What is each part of the simulator worth on real photos?

Trains the same small network for the same number of steps on samples of the full simulator, and of simulators that
leave one part out, and scores all of them on real pairs that nobody trained on. Everything is kept in the folder of the
run: rendered samples, checkpoints, scores. A run that was stopped continues; with more --steps, start another folder.

    python benchmarks/simulator_ablation.py --photos DIR --real DIR -o runs/simulator-ablation

`--real` holds source/ and target/. The table goes to results/simulator_ablation.csv: one row a training, and the mean
of the trainings of a variant with its distance to the full simulator. `--only full,no-noise` takes some variants.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from allfocus.data.cache import CacheSpec, SampleCache, render_cache
from allfocus.evaluate.measure import machine
from allfocus.metrics import psnr, psnr_fit, ssim
from allfocus.nets.registry import ENTRIES, Architecture, Entry
from allfocus.simulate.simulator import SimulatorConfig
from allfocus.train.config import TrainConfig
from allfocus.train.loop import train
from allfocus.train.validate import RealPairs

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "gaussian-psf": {"lens": {"profile": "gaussian"}},
    "srgb-blur": {"linear_light": False},
    "one-plane": {"scene": {"composite": 0.0, "single": 0.0, "plane": 0.97, "identity": 0.03}},
    "no-occlusion": {"occlusion": False},
    "no-noise": {"sensor": {"clean_chance": 1.0}},
}
"""Each variant by what it changes in the simulator's settings."""
SMALL = "ablation-of-the-simulator"
ENTRIES[SMALL] = Entry(Architecture(iterations=8, unshuffle=2, width=16), "a small network that trains in minutes")
SCORES = ("psnr", "psnr_fit", "ssim", "lpips")
COLUMNS = ("variant", "seed", *SCORES, "psnr_fit_gain", "psnr_fit_against_full", "steps", "samples", "network")


def main() -> None:
    options = _arguments()
    left_out = [] if options.leave_out is None else options.leave_out.read_text().split()
    real = RealPairs(options.real, options.lpips, bfloat16=options.bfloat16)
    if options.pairs is not None:
        real.pairs = real.pairs[: options.pairs]
    rows = [_input_row(real)]
    _write(options, rows)
    for name in options.only:
        folder = options.output / name
        for seed in range(options.seeds):
            rows.append(_trained(options, name, folder, seed, real, left_out))
            _write(options, rows)
    print(options.results.read_text(encoding="utf-8"), end="")


def _trained(
    options: argparse.Namespace, name: str, folder: Path, seed: int, real: RealPairs, left_out: list[str]
) -> dict[str, Any]:
    """The row of one training; from its folder if it is finished."""
    config = TrainConfig(
        architecture=options.network,
        steps=options.steps,
        batch=options.batch,
        patch_px=options.patch,
        learning_rate=options.learning_rate,
        warmup=min(200, options.steps // 10),
        ema=0.995,
        seed=seed,
        bfloat16=options.bfloat16,
        threads=options.threads,
        validate_every=options.steps,
        save_every=max(1, options.steps // 20),
    )
    stamp = {"train": asdict(config), "simulator": VARIANTS[name], "samples": options.samples, "pairs": len(real.pairs)}
    finished = folder / f"seed{seed}" / "result.json"
    if finished.is_file():
        stored = json.loads(finished.read_text(encoding="utf-8"))
        if stored["stamp"] == json.loads(json.dumps(stamp)):
            return stored["row"]
        raise SystemExit(f"{finished} is of another budget; take another -o")
    cache = _cache(options, name, folder, left_out)
    print(f"{name}, seed {seed}: {options.steps} steps", flush=True)
    state = train(config, cache, folder / f"seed{seed}", report=lambda line: print(f"  {line}", flush=True))
    scores = real(state.averaged)
    row = {"variant": name, "seed": seed, **scores, **_budget(options)}
    finished.write_text(json.dumps({"stamp": stamp, "row": row, "machine": machine()}, indent=1), encoding="utf-8")
    return row


def _cache(options: argparse.Namespace, name: str, folder: Path, left_out: list[str]) -> SampleCache:
    base = SimulatorConfig() if options.config is None else SimulatorConfig.load(options.config)
    settings = SimulatorConfig.from_dict(_merged(base.to_dict(), VARIANTS[name]))
    settings = replace(settings, crop_px=options.side)
    spec = CacheSpec(options.samples, options.side, options.seed, str(options.photos), left_out, settings.to_dict())
    print(f"{name}: rendering {options.samples} samples", flush=True)
    return render_cache(spec, folder / "cache", workers=options.workers)


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in change.items():
        merged[name] = _merged(base[name], value) if isinstance(value, Mapping) else value
    return merged


def _input_row(real: RealPairs) -> dict[str, Any]:
    rows = []
    for source, target in real.pairs:
        row = {"psnr": psnr(source, target), "psnr_fit": psnr_fit(source, target), "ssim": ssim(source, target)}
        if real.lpips is not None:
            row["lpips"] = real.lpips(source, target)
        rows.append(row)
    means = {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}
    return {"variant": "input", "seed": "", **means, "steps": 0, "samples": 0, "network": "-"}


def _budget(options: argparse.Namespace) -> dict[str, Any]:
    return {"steps": options.steps, "samples": options.samples, "network": options.network}


def _write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """The whole table: every training, then the means of the variants."""
    floor = rows[0]["psnr_fit"]
    means = []
    for name in VARIANTS:
        own = [row for row in rows if row["variant"] == name]
        if own:
            scores = {score: statistics.fmean(row[score] for row in own) for score in SCORES if score in own[0]}
            means.append({"variant": name, "seed": "mean", **scores, **_budget(options)})
    full = next((row["psnr_fit"] for row in means if row["variant"] == "full"), None)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in [*rows, *means]:
        gains: dict[str, Any] = {}
        if row["variant"] != "input":
            gains["psnr_fit_gain"] = row["psnr_fit"] - floor
        if full is not None and row["seed"] == "mean":
            gains["psnr_fit_against_full"] = row["psnr_fit"] - full
        whole = {**row, **gains}
        writer.writerow({name: f"{value:.4f}" if isinstance(value, float) else value for name, value in whole.items()})
    options.results.parent.mkdir(parents=True, exist_ok=True)
    beside = options.results.with_suffix(".part")
    beside.write_text(text.getvalue(), encoding="utf-8")
    beside.replace(options.results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--real", type=Path, required=True, help="folder with source/ and target/ of real pairs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--results", type=Path, default=Path("results/simulator_ablation.csv"))
    parser.add_argument("--only", type=_names, default=list(VARIANTS), help="variants, with commas between")
    parser.add_argument("--leave-out", type=Path, default=None, help="text file naming photos that are not used")
    parser.add_argument("--config", type=Path, default=None, help="simulator settings that every variant starts from")
    parser.add_argument("--lpips", type=Path, default=None, help="folder of the LPIPS files, for that column")
    parser.add_argument("--network", default=SMALL, help="a name of `allfocus models --all`, or the small one")
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--side", type=int, default=256, help="of a sample in px")
    parser.add_argument("--seed", type=int, default=0, help="of the first sample")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each variant")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    parser.add_argument("--pairs", type=int, default=None, help="only the first pairs of --real")
    parser.add_argument("--bfloat16", action="store_true", help="autocast to bfloat16")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(VARIANTS)}")
    return names


if __name__ == "__main__":
    main()
