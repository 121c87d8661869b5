"""How long does a training step take, by precision and by how the adaptive convolution is computed?

Every way takes the same steps from the same weights on the same random pictures, in turn, several rounds, in one
process with one thread (`--threads`): forward, losses, backward, clipping, optimiser, averaged weights. The median is
kept, with the losses after the last step, and for the first and the last way the operators that took most of the time.

    python benchmarks/training_step.py [-o results/training_step.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile

from allfocus.atomic_file import write_json
from allfocus.data.batch import Batch
from allfocus.engine.processor import Processor
from allfocus.nets import ifan
from allfocus.ops.adaptive_conv import native
from allfocus.train.config import TrainConfig
from allfocus.train.launch import open_fabric, precision_here, processor_features
from allfocus.train.loop import training_step
from allfocus.train.recipes import recipe
from allfocus.train.state import TrainState

WAYS = {
    "0.1.0: bf16-mixed, autograd over plain operations": ("bf16-mixed", "autograd"),
    "32-true, autograd over plain operations": ("32-true", "autograd"),
    "32-true, own gradient in plain operations": ("32-true", "plain"),
    "32-true, own gradient in C++": ("32-true", "native"),
    "bf16-mixed, own gradient in plain operations": ("bf16-mixed", "plain"),
    "bf16-mixed, own gradient in C++": ("bf16-mixed", "native"),
}
SHOWN = 14


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/training_step.json"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    processor = Processor.here()
    batch = pictures(args.batch, args.patch)
    states = {name: start(precision, args) for name, (precision, _) in WAYS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    loss: dict[str, float] = {}
    for turn in range(args.rounds + 1):  # the first one warms up
        for name, (_, way) in WAYS.items():
            with computed(way):
                began = time.perf_counter()
                loss[name] = float(training_step(states[name], batch)["total"])
                if turn:
                    seconds[name].append(time.perf_counter() - began)
        print(f"round {turn} of {args.rounds}", flush=True)
    rows = {
        name: {
            "seconds": round(statistics.median(taken), 4),
            "all": [round(one, 4) for one in taken],
            "loss": loss[name],
        }
        for name, taken in seconds.items()
    }
    first, last = next(iter(WAYS)), f"{precision_here('auto', 'cpu', processor_features())}, own gradient in C++"
    found = {
        "batch": args.batch,
        "patch_px": args.patch,
        "threads": args.threads,
        "rounds": args.rounds,
        "processor": {"name": processor.name, "features": processor.features, "machine": platform.machine()},
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "native": native.obstacle() or "compiled",
        "steps": rows,
        "automatic": last,
        "times_faster": round(rows[first]["seconds"] / rows[last]["seconds"], 3),
        "operators": {name: operators(states[name], batch, WAYS[name][1]) for name in (first, last)},
    }
    write_json(args.output, found)
    print(json.dumps({name: row["seconds"] for name, row in rows.items()}, indent=1), found["times_faster"])


def start(precision: str, args: argparse.Namespace) -> TrainState:
    config: TrainConfig = replace(
        recipe("ifan-fast"),
        precision=precision,
        threads=args.threads,
        batch=args.batch,
        patch_px=args.patch,  # type: ignore[arg-type]
    )
    torch.set_num_threads(args.threads)
    return TrainState.start(config, open_fabric(config, "cpu"))


def pictures(count: int, side: int) -> Batch:
    draw = torch.Generator().manual_seed(0)
    sharp = torch.rand(count, 3, side, side, generator=draw)
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2)
    return Batch(blurred, sharp, torch.full((count, 1, side // 8, side // 8), 3.0)).to(torch.device("cpu"))


@contextmanager
def computed(way: str) -> Iterator[None]:
    """The adaptive convolution as version 0.1.0 did, in plain operations with its own gradient, or in C++."""
    switch = "1" if way == "native" else "0"
    as_before = mock.patch.object(ifan, "exporting", lambda: True)  # the path that is exported: autograd keeps all
    with mock.patch.dict(os.environ, {native.SWITCH: switch}):
        if way == "autograd":
            with as_before:
                yield
        else:
            yield


def operators(state: TrainState, batch: Batch, way: str) -> dict[str, dict[str, float]]:
    """Calls and own time in ms of the operators that take most, of one step."""
    with computed(way), profile(activities=[ProfilerActivity.CPU]) as seen:
        training_step(state, batch)
    rows = sorted(seen.key_averages(), key=lambda row: -row.self_cpu_time_total)
    return {row.key: {"calls": row.count, "ms": round(row.self_cpu_time_total / 1e3, 2)} for row in rows[:SHOWN]}


if __name__ == "__main__":
    main()
