"""Which design learns most for the same processor time?

    python benchmarks/race.py --cache DIR... --pairs DIR... --runs FOLDER --lpips DIR --budget 900 [--only NAME...]

Every design starts afresh and trains through `allfocus train` on the same samples, with one thread, for as many steps
as the budget (processor seconds) pays for: a few steps with crops of each size are timed first. The averaged weights
are then scored on each folder of pairs (source, target) at the residual gain that is best for that folder, and their
graph is timed in OpenVINO beside that of the first design, in turns. An interrupted race goes on where it stopped (what
a run that was cut off took is then not known, and null); rows of other designs are kept.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch import nn

from allfocus.atomic_file import write_json
from allfocus.data.registry import load
from allfocus.evaluate.measure import machine
from allfocus.metrics.lpips import LPIPS
from allfocus.metrics.psnr import psnr_fit
from allfocus.nets.ifan import IFAN
from allfocus.nets.macs import macs_of_network
from allfocus.train.config import TrainConfig
from allfocus.train.state import load_averaged
from allfocus.train.tasks.registry import ifan_architecture
from averaged_weights import change, network, scores
from race_blocks import networks_of

GAINS = (0.35, 0.5, 0.7, 0.85, 1.0)
TIMED_STEPS = (10, 50)
IN_FOCUS_DB = 45.0  # PSNR-fit of photos with nothing to do, beside which the others would not count
ROUNDS = 5
RECIPE = "ifan-fast"
EVERYWHERE = {"net.width": 32, "optimiser": "adamw", "learning_rate": 3e-4, "warmup": 50, "batch": 8, "patch_px": 160,
              "ema": 0.995, "threads": 1, "coarse_chance": 0, "seed": 11,
              "validate_every": 10**6, "save_every": 100, "log_every": 50}  # fmt: skip


@dataclass(frozen=True)
class Design:
    """What is changed of the recipe `ifan-fast`, and why; `block` is one of `race_blocks.BLOCKS`."""

    why: str
    changes: dict[str, Any]
    block: str = "plain"


MUON = {"optimiser": "muon", "learning_rate": 1e-3}
DESIGNS = {
    "as in 0.1.0": Design("width 32, N=17, half-size features", {}),
    "N=8": Design("fewer filter passes: half of the head's parameters", {"net.iterations": 8}),
    "width 24": Design("narrower", {"net.width": 24}),
    "quarter size": Design("4x unshuffled, width 48", {"net.unshuffle": 4, "net.width": 48}),
    "growing crops": Design("crops of 96, 128 and 160 px", {"patch_px": [96, 128, 160]}),
    "twice the rate": Design("learning rate 6e-4", {"learning_rate": 6e-4}),
    "Muon": Design("between many channels, learning rate 1e-3", MUON),
    "Muon, another seed": Design("the same", {**MUON, "seed": 12}),
    "Muon, width 24": Design("both", {**MUON, "net.width": 24}),
    "that, growing crops": Design("crops of 96, 128 and 160 px", {**MUON, "net.width": 24, "patch_px": [96, 128, 160]}),
    "that, gated blocks": Design("depthwise convolutions and gates", {**MUON, "net.width": 24}, "gated"),
    "that, channel attention": Design("in every residual block", {**MUON, "net.width": 24}, "attention"),
}  # fmt: skip


def train(
    design: Design,
    folder: Path,
    caches: list[Path],
    steps: int,
    everywhere: Mapping[str, Any],
    stop_at: int | None = None,
) -> float:
    """Processor seconds that it took, all processes."""
    command = (
        ["-m", "allfocus"]
        if design.block == "plain"
        else [str(Path(__file__).with_name("race_blocks.py")), design.block]
    )
    line = [sys.executable, *command, "train", "--recipe", RECIPE, "-o", str(folder), "--steps", str(steps)]
    line += [word for cache in caches for word in ("--cache", str(cache))]
    line += [word for name, value in {**everywhere, **design.changes}.items() for word in ("--set", f"{name}={value}")]
    line += [] if stop_at is None else ["--stop-at", str(stop_at)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def steps_for(design: Design, caches: list[Path], budget: float, everywhere: Mapping[str, Any]) -> int:
    """How many steps the budget pays for. Crops of each size of the design take an equal share of the run."""
    few, more = TIMED_STEPS
    each = []
    with tempfile.TemporaryDirectory() as folder:
        for size in np.atleast_1d({**everywhere, **design.changes}["patch_px"]).tolist():
            fixed = replace(design, changes={**design.changes, "patch_px": size})
            spent = [train(fixed, Path(folder) / f"{size}-{to}", caches, 10**4, everywhere, to) for to in (few, more)]
            each.append((spent[1] - spent[0]) / (more - few))
    return max(1, round(budget / statistics.mean(each)))


def judged(net: IFAN, pairs: Path, every: int, lpips: LPIPS) -> dict[str, Any]:
    """Scores at the residual gain with the highest PSNR-fit; photos with nothing to do are left out."""
    reading = load("pairs", pairs, "test")
    chosen = list(reading)[::every]
    both = [tuple(reading.read(getattr(one, side)) for side in ("source", "target")) for one in chosen]
    photos, targets = map(list, zip(*(one for one in both if psnr_fit(*one) < IN_FOCUS_DB), strict=True))
    changes = [change(net, photo) for photo in photos]
    found = {gain: scores(photos, targets, changes, gain, lpips) for gain in GAINS}
    best = max(GAINS, key=lambda gain: found[gain]["psnr_fit"])
    return {"photos": len(photos), "gain": best, **found[best]}


def times_first(run: Path, block: str) -> dict[str, Any]:
    """Seconds of the run's graph at 1280x720 in float32, over those of the first design's, in turns.

    The photo is padded to each network's multiple.
    """
    with networks_of(block):
        net = load_averaged(run)[1]
    first = ifan_architecture(TrainConfig.from_dict({"architecture": RECIPE, "net": {"width": 32}})).build()
    photo = np.random.default_rng(0).random((1, 3, 720, 1280), dtype=np.float32)
    photos = [padded(photo, one.multiple) for one in (net, first)]
    graphs = [graph(one, photo) for one, photo in zip((net, first), photos, strict=True)]
    ratios = []
    for turn in range(ROUNDS + 1):
        ends = [time.perf_counter()]
        for compiled, photo in zip(graphs, photos, strict=True):
            compiled(photo)
            ends.append(time.perf_counter())
        if turn:  # the first warms up
            ratios.append((ends[1] - ends[0]) / (ends[2] - ends[1]))
    return {"parameters": sum(part.numel() for part in net.parameters()),
            "macs": macs_of_network(copy.deepcopy(net), 1).total, "times_first": statistics.median(ratios)}  # fmt: skip


def graph(net: IFAN, photo: NDArray[np.float32]) -> Any:
    """A network compiled by OpenVINO's own converter: the package's knows no other blocks than the package's."""
    with torch.no_grad():
        program = torch.export.export(Residual(net).eval(), (torch.from_numpy(photo),), strict=False)
    return openvino.compile_model(openvino.convert_model(program), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


class Residual(nn.Module):
    """A network that returns its residual alone."""

    def __init__(self, net: IFAN) -> None:
        super().__init__()
        self.net = net

    def forward(self, photo: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, 3, H, W)."""
        return self.net(photo).residual


def padded(photo: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    """A photo (1, 3, H, W) made larger below and on the right, to multiples."""
    return np.pad(photo, [(0, 0), (0, 0), *((0, -side % multiple) for side in photo.shape[2:])], "edge")


def stored(path: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run of this command wrote."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else otherwise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, nargs="+", required=True)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="DIR, or DIR:N for every Nth of it")
    parser.add_argument("--runs", type=Path, required=True, help="where the runs lie")
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("--budget", type=float, default=3600, help="processor seconds of each")
    parser.add_argument("--only", nargs="*", default=list(DESIGNS))
    parser.add_argument("--batch", type=int, default=EVERYWHERE["batch"])
    parser.add_argument("--patch", type=int, default=EVERYWHERE["patch_px"], help="side of the crops in px")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/race.json"))
    args = parser.parse_args()
    lpips, everywhere = LPIPS(args.lpips), {**EVERYWHERE, "batch": args.batch, "patch_px": args.patch}
    rows = {row["design"]: row for row in stored(args.output, {"rows": []})["rows"]}
    for name in args.only:
        design, folder = DESIGNS[name], args.runs / name.replace(" ", "-").replace("=", "")
        kept = folder / "race.json"
        known = stored(kept, {}) or {"steps": steps_for(design, args.cache, args.budget, everywhere), "spent": 0.0}
        folder.mkdir(parents=True, exist_ok=True)
        before = known["spent"]
        write_json(kept, known | {"spent": None})  # stays so if this run is cut off
        spent = train(design, folder, args.cache, known["steps"], everywhere)
        known["spent"] = None if before is None else round(before + spent)
        write_json(kept, known)
        with networks_of(design.block):
            net = network(str(folder), 1.0)
        row = {"design": name, "why": design.why, "steps": known["steps"], "processor_seconds": known["spent"]}
        row |= times_first(folder, design.block) | {"scores": {}}
        for one in args.pairs:
            place, _, every = str(one).partition(":")
            row["scores"][Path(place).name] = judged(net, Path(place), int(every or 1), lpips)
        rows[name] = row
        print(row, flush=True)
        report = {"budget_processor_seconds": args.budget, "settings": everywhere, "machine": machine()}
        write_json(args.output, {**report, "rows": [rows[one] for one in DESIGNS if one in rows]})


if __name__ == "__main__":
    main()
