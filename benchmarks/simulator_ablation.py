"""What is each part of the simulator worth on real photos?

Trains the same small network for the same number of steps on samples of the full simulator, of simulators that leave
one part out, and of one with the settings that came first, and scores all of them on real pairs that nobody trained on.
Samples and scores are kept in the folder of the run, so that a run that was stopped continues with the next training;
with another budget, take another folder.

    python benchmarks/simulator_ablation.py --photos DIR --real DIR -o runs/simulator-ablation

`--real` holds source/ and target/. The table goes to results/simulator_ablation.csv: one row a training, and the mean
of the trainings of a variant with its distance to the full simulator. The trainings of a variant with two seeds show
how much of a distance is chance. `--only full,no-noise` takes some variants.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import torch
from torch import Tensor
from torch.nn import functional

from allfocus.atomic_file import AtomicFile, write_text
from allfocus.evaluate.measure import machine
from allfocus.metrics import psnr, psnr_fit, ssim
from allfocus.metrics.lpips import LPIPS
from allfocus.nets.ifan import IFAN
from allfocus.nets.registry import Architecture
from allfocus.simulate import PhotoPool, Simulator, SimulatorConfig
from allfocus.train.provenance import Provenance

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "gaussian-psf": {"lens": {"profile": "gaussian"}},
    "srgb-blur": {"linear_light": False},
    "one-plane": {"scene": {"composite": 0.0, "single": 0.0, "plane": 0.97, "identity": 0.03}},
    "no-occlusion": {"occlusion": False},
    "no-noise": {"sensor": {"clean_chance": 1.0}},
    "first-settings": dict(Provenance.read("ifan-fast-wide").samples["a"].simulator),
}
"""Each variant by what it changes in the simulator's settings."""
NETWORK = Architecture(iterations=8, unshuffle=2, width=16)
CELL_PX = 8
SCORES = ("psnr", "psnr_fit", "ssim", "lpips")
COLUMNS = ("variant", "seed", *SCORES, "psnr_fit_gain", "psnr_fit_against_full", "improved", "steps", "samples")
BUDGET = ("steps", "batch", "patch", "samples", "side", "learning_rate", "bfloat16")
Pair = tuple[np.ndarray, np.ndarray]


def main() -> None:
    options = _arguments()
    torch.set_num_threads(options.threads)
    real = read_pairs(options.real)
    lpips = None if options.lpips is None else LPIPS(options.lpips)
    inputs = [scores(source, target, lpips) for source, target in real]
    rows = [{"variant": "input", "seed": "", **_means(inputs), "steps": 0, "samples": 0}]
    budget = {name: getattr(options, name) for name in BUDGET}
    for name in options.only:
        for seed in range(2 if name in options.twice else 1):
            rows.append(_row(options, name, seed, budget, real, lpips, inputs))
            _write(options.results, rows)
    conditions = {"machine": machine(), "network": repr(NETWORK), **budget, "pairs": len(real)}
    options.results.with_suffix(".json").write_text(json.dumps(conditions, indent=1) + "\n", encoding="utf-8")
    print(options.results.read_text(encoding="utf-8"), end="")


def _row(
    options: argparse.Namespace, name: str, seed: int, budget: Mapping[str, Any], real: Sequence[Pair],
    lpips: LPIPS | None, inputs: Sequence[Mapping[str, float]],
) -> dict[str, Any]:  # fmt: skip
    """The row of one training; from its folder if it is finished."""
    finished = options.output / name / f"seed{seed}.json"
    stamp = {**budget, "settings": json.loads(json.dumps(settings(name, options.side).to_dict()))}
    if finished.is_file():
        stored = json.loads(finished.read_text(encoding="utf-8"))
        if stored["stamp"] == stamp:
            return stored["row"]
        raise SystemExit(f"{finished} is of another budget or simulator; take another -o")
    samples = _samples(options, name)
    print(f"{name}, seed {seed}: {options.steps} steps", flush=True)
    net = train(samples, seed, budget)
    found = [scores(restored(net, source, options.bfloat16), target, lpips) for source, target in real]
    improved = sum(after["psnr_fit"] > before["psnr_fit"] for after, before in zip(found, inputs, strict=True))
    row = {"variant": name, "seed": seed, **_means(found), "improved": improved}
    row |= {"steps": options.steps, "samples": options.samples}
    finished.write_text(json.dumps({"stamp": stamp, "row": row}, indent=1), encoding="utf-8")
    print("  " + "  ".join(f"{score} {row[score]:.4f}" for score in SCORES if score in row), flush=True)
    return row


def settings(name: str, side: int) -> SimulatorConfig:
    """The simulator of a variant, with samples of this side in px."""
    return SimulatorConfig.from_dict(merged(SimulatorConfig(crop_px=side).to_dict(), VARIANTS[name]))


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with some of them changed."""
    changed = {
        name: merged(base[name], value) if isinstance(value, Mapping) else value for name, value in change.items()
    }
    return {**base, **changed}


def read_pairs(folder: Path) -> list[Pair]:
    """Photos of source/ and target/ by their order: float32 (H, W, 3) in [0, 1]."""
    sides = [[_photo(path) for path in sorted((folder / side).iterdir())] for side in ("source", "target")]
    return list(zip(*sides, strict=True))


def usable_photos(folder: Path, left_out: Path | None) -> PhotoPool:
    """The photos of a folder without those that a text file names."""
    names = set() if left_out is None else set(left_out.read_text(encoding="utf-8").split())
    return PhotoPool([path for path in sorted(folder.iterdir()) if path.suffix != ".csv" and path.name not in names])


def scores(picture: np.ndarray, target: np.ndarray, lpips: LPIPS | None) -> dict[str, float]:
    """Of one picture against its target; by the names in `SCORES`."""
    found = {"psnr": psnr(picture, target), "psnr_fit": psnr_fit(picture, target), "ssim": ssim(picture, target)}
    return found if lpips is None else {**found, "lpips": lpips(picture, target)}


def train(samples: Mapping[str, np.ndarray], seed: int, budget: Mapping[str, Any]) -> IFAN:
    """Train the small network from scratch; returns the running mean of its weights."""
    torch.manual_seed(seed)
    net = NETWORK.build(residual_gain=0.1).to(memory_format=torch.channels_last)
    averaged = deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=budget["learning_rate"], weight_decay=1e-4)
    steps = budget["steps"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, budget["learning_rate"], total_steps=steps, pct_start=0.1, final_div_factor=100.0
    )
    for step in range(steps):
        centre, sharp, disparity = _batch(samples, np.random.default_rng([seed, step]), budget)
        with torch.autocast("cpu", torch.bfloat16, enabled=budget["bfloat16"]):
            output = net(centre)
        loss = torch.sqrt((output.sharp.float() - sharp) ** 2 + 1e-6).mean()
        if output.disparity is not None:
            known = ~disparity.isnan()
            loss = loss + 0.05 * (output.disparity.float()[known] - disparity[known]).abs().mean().nan_to_num(0.0)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5).isfinite():
            optimiser.step()
        schedule.step()
        share = min(0.99, step / (step + 10.0))
        with torch.no_grad():
            for mean, current in zip(averaged.parameters(), net.parameters(), strict=True):
                mean.lerp_(current, 1.0 - share)
        if (step + 1) % 100 == 0:
            print(f"  step {step + 1}/{steps}  loss {loss.item():.5f}", flush=True)
    return averaged.eval()


def restored(net: IFAN, photo: np.ndarray, bfloat16: bool) -> np.ndarray:
    """A whole photo (H, W, 3) through the network, clipped."""
    height, width = photo.shape[:2]
    batch = torch.from_numpy(photo).permute(2, 0, 1)[None]
    padded = functional.pad(batch, (0, -width % net.multiple, 0, -height % net.multiple), mode="replicate")
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        residual = net(padded.contiguous(memory_format=torch.channels_last)).residual.float()
    return (batch + residual[..., :height, :width]).clamp(0.0, 1.0)[0].permute(1, 2, 0).numpy()


def _batch(
    samples: Mapping[str, np.ndarray], rng: np.random.Generator, budget: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Tensor]:
    """Centre, sharp (B, 3, P, P) in [0, 1], and disparity (B, 1, P/16, P/16) in cells of the network, NaN unknown."""
    cell_px = NETWORK.unshuffle * CELL_PX
    side, patch = budget["side"] // cell_px, budget["patch"] // cell_px
    parts: dict[str, list[np.ndarray]] = {"centre": [], "sharp": [], "disparity": []}
    for index in rng.integers(0, len(samples["centre"]), budget["batch"]):
        top, left = (int(value) for value in rng.integers(0, side - patch + 1, 2))
        turned = bool(rng.integers(2))
        for name, crops in parts.items():
            cells = 1 if name == "disparity" else cell_px
            crop = samples[name][index, ..., top * cells : (top + patch) * cells, left * cells : (left + patch) * cells]
            crops.append(crop[..., ::-1] if turned else crop)
    centre, sharp, disparity = (torch.from_numpy(np.stack(crops)).float() for crops in parts.values())
    return (centre / 255.0).contiguous(memory_format=torch.channels_last), sharp / 255.0, disparity


def _samples(options: argparse.Namespace, name: str) -> dict[str, np.ndarray]:
    """The samples of a variant, rendered by worker processes unless they are there."""
    path = options.output / name / "samples.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"{name}: rendering {options.samples} samples", flush=True)
        jobs = [(options, name, first) for first in range(options.workers)]
        with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
            parts = list(pool.map(_rendered, jobs))
        joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        with AtomicFile(path) as file, file.temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **joined)
    with np.load(path) as stored:
        return {key: stored[key] for key in stored.files}


def _rendered(job: tuple[argparse.Namespace, str, int]) -> dict[str, np.ndarray]:
    """Every n-th sample, for n processes."""
    options, name, first = job
    torch.set_num_threads(1)
    simulator = Simulator(settings(name, options.side), usable_photos(options.photos, options.leave_out))
    cell_px = NETWORK.unshuffle * CELL_PX
    parts: dict[str, list[Tensor]] = {"centre": [], "sharp": [], "disparity": []}
    for index in range(first, options.samples, options.workers):
        sample = simulator.sample([options.seed + index])
        for key in ("centre", "sharp"):
            parts[key].append((getattr(sample, key) * 255.0).round().byte())
        valid = functional.avg_pool2d(sample.valid.float(), cell_px) > 0.5
        disparity = functional.avg_pool2d(sample.disparity, cell_px) / cell_px
        parts["disparity"].append(torch.where(valid, disparity, torch.nan))
    return {key: torch.cat(planes).numpy() for key, planes in parts.items()}


def _photo(path: Path) -> np.ndarray:
    pixels = pyvips.Image.new_from_file(str(path)).colourspace("srgb")[:3].numpy()
    return np.asarray(pixels, np.float32) / 255.0


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The whole table: every training, then the means of the variants."""
    means = []
    for name in dict.fromkeys(row["variant"] for row in rows[1:]):
        own = [row for row in rows if row["variant"] == name]
        found = _means([{score: row[score] for score in (*SCORES, "improved") if score in row} for row in own])
        means.append({"variant": name, "seed": "mean", **found, "steps": own[0]["steps"], "samples": own[0]["samples"]})
    full = next((row["psnr_fit"] for row in means if row["variant"] == "full"), None)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in [*rows, *means]:
        gains: dict[str, Any] = {}
        if row["variant"] != "input":
            gains["psnr_fit_gain"] = row["psnr_fit"] - rows[0]["psnr_fit"]
            gains["psnr_fit_against_full"] = "" if full is None or row["seed"] != "mean" else row["psnr_fit"] - full
        whole = {**row, **gains}
        writer.writerow({name: f"{value:.4f}" if isinstance(value, float) else value for name, value in whole.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of sharp photos")
    parser.add_argument("--real", type=Path, required=True, help="folder with source/ and target/ of real pairs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--results", type=Path, default=Path("results/simulator_ablation.csv"))
    parser.add_argument("--only", type=_names, default=list(VARIANTS), help="variants, with commas between")
    parser.add_argument("--leave-out", type=Path, default=None, help="text file naming photos that are not used")
    parser.add_argument("--lpips", type=Path, default=None, help="folder of the LPIPS files, for that column")
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--side", type=int, default=192, help="of a sample in px, a multiple of 16")
    parser.add_argument("--seed", type=int, default=0, help="of the first sample")
    parser.add_argument("--twice", type=_names, default=["full"], help="variants that are trained with two seeds")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--patch", type=int, default=112, help="side of the training crops in px, a multiple of 16")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--bfloat16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(VARIANTS)}")
    return names


if __name__ == "__main__":
    main()
