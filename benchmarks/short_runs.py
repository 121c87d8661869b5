"""What does one other property of the samples, or of the training on them, do to real photos?

    python benchmarks/short_runs.py --photos DIR --pairs DIR... --scratch DIR --lpips DIR [--only NAME...]

Every trial is a short run of `allfocus train` from the shipped weights which differs in one thing from the first one:
the seeds, and with them scenes, crops and their order, are the same. The averaged weights are scored on folders of
pairs (source, target), at the residual gain of the shipped weights. Trials that --scratch holds are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from allfocus.atomic_file import make_folder, write_json
from allfocus.data.registry import load
from allfocus.evaluate.measure import machine
from allfocus.metrics.lpips import LPIPS
from averaged_weights import change, network, scores

HELD_OUT = Path(__file__).resolve().parents[1] / "src/allfocus/weights/held_out.txt"
START, START_GAIN = "ifan-fast", 0.77  # of its release
SEED = 2_000_000
SIMULATOR: dict[str, Any] = {
    "resolution_scale": [0.5, 0.9], "reductions": [1.0, 0.0, 0.0],
    "scene": {"highlight_gain": 1.0, "print_chance": 0.0}, "sensor": {"sharpen_chance": 0.05, "contrast_chance": 0.5},
}  # fmt: skip
"""Samples `b` of the shipped weights."""
TRAINING: dict[str, Any] = {
    "architecture": "ifan-fast", "steps": 160, "batch": 8, "patch_px": 160, "optimiser": "muon", "learning_rate": 3e-4,
    "warmup": 20, "weight_decay": 1e-4, "clip_norm": 0.5, "ema": 0.96, "seed": 401, "threads": 1,
    "validate_every": 10**6, "save_every": 80, "log_every": 20, "coarse_chance": 0.1, "start_gain": 1 / START_GAIN,
    "augment": {
        "reduce_chance": 0.3, "reduce_to": [0.5, 1.0], "dark_chance": 0.3, "dark_stops": [0.5, 3.5],
        "texture_chance": 0.0, "grain_chance": 0.5, "grain_sigma": [0.0012, 0.008], "grain_follows_chance": 0.6,
    },
    "loss": {"deblur": 1.0, "fourier": 0.1, "disparity": 0.05, "perceptual": 0.03},
}  # fmt: skip
"""As their last stages."""


@dataclass(frozen=True)
class Trial:
    """One short run.

    Attributes:
        what: in words.
        simulator: what its samples have that others have not.
        training: what its training has.
    """

    what: str
    simulator: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


def without_grain(**changes: Any) -> dict[str, Any]:
    """Settings of a run without grain, which differs in one thing more."""
    return {**changes, "augment": {"grain_chance": 0.0, **changes.get("augment", {})}}


TRIALS = {
    "base": Trial("samples `b`, trained on as before"),
    "seed": Trial("another seed of the training", {}, {"seed": 402}),
    "oblique": Trial("coma and astigmatism on 70 %", {"lens": {"oblique_chance": 0.7}}),
    "hard": Trial(
        "harder rims, fewer blades, cat's eyes and rings",
        {"lens": {"edge_share": 0.0, "ring_chance": 0.1, "blades_chance": 0.1, "cats_eye_chance": 0.1}},
    ),
    "soft": Trial(
        "softer rims and more of these, as in samples `a`",
        {
            "lens": {
                "edge_share": 0.3,
                "ring_chance": 0.6,
                "ring": 0.8,
                "blades_chance": 0.4,
                "cats_eye_chance": 0.45,
                "longitudinal_ca_chance": 0.5,
                "longitudinal_ca_px": 0.5,
            }
        },
    ),
    "rough": Trial("rough surfaces in 70 % of the scenes", {"scene": {"rough_chance": 0.7, "rough": [0.03, 0.3]}}),
    "layers": Trial(
        "more cut-outs, mostly bars and foliage",
        {"scene": {"objects": [0.05, 0.15, 0.3, 0.5], "outlines": [0.25, 0.3, 0.35, 0.1]}},
    ),
    "more-grain": Trial(
        "grain of .003 to .016 on 80 %", {}, {"augment": {"grain_chance": 0.8, "grain_sigma": [0.003, 0.016]}}
    ),
    "no-grain": Trial("no grain", {}, without_grain()),
    "no-grain-clean": Trial(
        "no grain, and no noise on 70 % of the samples", {"sensor": {"clean_chance": 0.7}}, without_grain()
    ),
    "no-grain-unreduced": Trial("no grain, nothing reduced", {}, without_grain(augment={"reduce_chance": 0.0})),
    "no-grain-undarkened": Trial("no grain, nothing darkened", {}, without_grain(augment={"dark_chance": 0.0})),
    "no-grain-finest": Trial("no grain, no coarse-to-fine samples", {}, without_grain(coarse_chance=0.0)),
    "no-grain-large": Trial(
        "no grain, 4 crops of 224 px instead of 8 of 160 px", {}, without_grain(batch=4, patch_px=224)
    ),
    "no-grain-squared": Trial(
        "no grain, squared error x 10", {}, without_grain(loss={"distance": "squared", "deblur": 10.0})
    ),
}


def merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with some of them changed."""
    inner = {name: {**settings.get(name, {}), **value} for name, value in changes.items() if isinstance(value, dict)}
    return {**settings, **changes, **inner}


def run(name: str, photos: Path, scratch: Path, samples: int, training: dict[str, Any]) -> Path:
    """Render the samples of a trial and train; the folder of the run."""
    trial = TRIALS[name]
    settings = json.dumps(merged(SIMULATOR, trial.simulator))
    owner = next(one for one, other in TRIALS.items() if other.simulator == trial.simulator)
    cache, folder = scratch / f"cache-{owner}", scratch / f"run-{name}"
    (scratch / f"{owner}.simulator.json").write_text(settings, encoding="utf-8")
    # JSON is YAML
    (scratch / f"{name}.json").write_text(json.dumps(merged(training, trial.training)), encoding="utf-8")
    for line in (
        ("prepare", "--photos", photos, "-o", cache, "--count", samples, "--seed", SEED, "--leave-out", HELD_OUT,
         "--config", scratch / f"{owner}.simulator.json"),
        ("train", "-o", folder, "--config", scratch / f"{name}.json", "--cache", cache, "--start-from", START),
    ):  # fmt: skip
        command = [sys.executable, "-m", "allfocus", *map(str, line)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return folder


def judged(weights: str, gain: float, pairs: list[Path], lpips: LPIPS) -> dict[str, Any]:
    """Scores on each set at the gain of the shipped weights."""
    net, found = network(weights, gain), {}
    for one in pairs:
        reading = load("pairs", one, "test")
        photos, targets = ([reading.read(getattr(pair, side)) for pair in reading] for side in ("source", "target"))
        changes = [change(net, photo) for photo in photos]
        found[one.name] = scores(photos, targets, changes, START_GAIN, lpips)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="sharp photos")
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--scratch", type=Path, required=True, help="for samples and runs")
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("--only", nargs="*", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--steps", type=int, default=TRAINING["steps"])
    parser.add_argument("--batch", type=int, default=TRAINING["batch"])
    parser.add_argument("--patch", type=int, default=TRAINING["patch_px"], help="side of the crops in px")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/short_runs.json"))
    args = parser.parse_args()
    if args.lpips is not None:
        os.environ["ALLFOCUS_LPIPS"] = str(args.lpips.resolve())
    training = merged(TRAINING, {"steps": args.steps, "batch": args.batch, "patch_px": args.patch})
    lpips = LPIPS(args.lpips)
    make_folder(args.scratch)
    rows: dict[str, Any] = {}
    for name in (START, *args.only):
        kept = args.scratch / f"{name}.scores.json"
        if not kept.is_file():
            if name == START:
                found = judged(START, 1 / START_GAIN, args.pairs, lpips)
            else:
                folder = run(name, args.photos, args.scratch, args.samples, training)
                found = judged(str(folder), 1.0, args.pairs, lpips)
            write_json(kept, found)
        rows[name] = json.loads(kept.read_text(encoding="utf-8"))
        print(name, rows[name], flush=True)
        trials = {one: {**(asdict(TRIALS[one]) if one in TRIALS else {}), "scores": row} for one, row in rows.items()}
        report = {"gain": START_GAIN, "samples": args.samples, "simulator": SIMULATOR, "training": training}
        write_json(args.output, {**report, "machine": machine(), "trials": trials})


if __name__ == "__main__":
    main()
