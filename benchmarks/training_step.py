"""How long does a training step take, by precision, by how the adaptive convolution is computed, and what else helps?

Every way takes the same steps from the same weights of the network of 0.1.0 (32 channels, AdamW) on the same random
pictures; one way has the network and the optimiser of today's recipe. In turn, several rounds, in one process with one
thread (`--threads`): forward, losses, backward, clipping, optimiser, averaged weights. Times are processor seconds
(user and system), which other work on the machine changes less than the clock. The median is kept, with the losses
after the last step, and for the first and the automatic way the operators that took most of the time. How much of that
is arithmetic: the rate of the convolutions and matrix products of the automatic way, beside the best rate of a large
matrix product in the same precision.

    python benchmarks/training_step.py [-o results/training_step.json]
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
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
from allfocus.nets.macs import count_macs
from allfocus.ops.adaptive_conv import native
from allfocus.train.config import NetConfig, TrainConfig
from allfocus.train.launch import open_fabric, precision_here, processor_features
from allfocus.train.loop import training_step
from allfocus.train.recipes import recipe
from allfocus.train.state import TrainState

Way = tuple[str, str]
WAYS: dict[str, Way] = {
    "0.1.0: bf16-mixed, autograd over plain operations": ("bf16-mixed", "autograd"),
    "32-true, autograd over plain operations": ("32-true", "autograd"),
    "32-true, own gradient in plain operations": ("32-true", "plain"),
    "32-true, own gradient in C++": ("32-true", "native"),
    "bf16-mixed, own gradient in plain operations": ("bf16-mixed", "plain"),
    "bf16-mixed, own gradient in C++": ("bf16-mixed", "native"),
}
"""Precision, and how the adaptive convolution is computed."""
TRIED = ("compiled by torch", "weights contiguous, pictures channels last", "4 crops of 224 px instead of 8 of 160 px")
"""What was tried on top of the automatic way."""
TODAY = "24 channels and Muon, today's recipe"
COMPILED = ("feature_extractor", "filter_encoder", "fuse", "decoder", "disparity_estimator")
PRODUCTS = ("aten::convolution_backward", "aten::mkldnn_convolution", "aten::convolution_overrideable", "aten::addmm",
            "aten::mm")  # fmt: skip
SHOWN = 14
PROFILED = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/training_step.json"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    processor = Processor.here()
    automatic = f"{precision_here('auto', 'cpu', processor_features())}, own gradient in C++"
    first = next(iter(WAYS))
    today = f"{automatic}, {TODAY}"
    ways = {**WAYS, **{f"{automatic}, {what}": WAYS[automatic] for what in (*TRIED, TODAY)}}
    states = {name: start(precision, args, now=name == today) for name, (precision, _) in ways.items()}
    batches = dict.fromkeys(ways, pictures(args.batch, args.patch))
    compiled, contiguous, fewer = (f"{automatic}, {what}" for what in TRIED)
    batches[fewer] = pictures(4, 224)
    batches[contiguous] = channels_last(batches[contiguous])
    make_contiguous(states[contiguous])
    compiling = compile_parts(states[compiled], batches[compiled])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    loss: dict[str, float] = {}
    for turn in range(args.rounds + 1):  # the first one warms up
        for name, (_, way) in ways.items():
            with computed(way):
                began = time.process_time()
                loss[name] = float(training_step(states[name], batches[name])["total"])
                if turn:
                    seconds[name].append(time.process_time() - began)
        print(f"round {turn} of {args.rounds}", flush=True)
    rows = {
        name: {
            "processor_seconds": round(statistics.median(taken), 4),
            "all": [round(one, 4) for one in taken],
            "loss": loss[name],
        }
        for name, taken in seconds.items()
    }
    seen = {name: operators(states[name], batches[name], WAYS[name][1]) for name in (first, automatic)}
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
        "automatic": automatic,
        "times_faster": round(paired(seconds[first], seconds[automatic]), 3),
        "times_faster_today": round(paired(seconds[first], seconds[today]), 3),
        "seconds_to_compile": round(compiling, 1),
        "arithmetic": arithmetic(states[automatic], batches[automatic], seen[automatic]),
        "operators": {name: dict(list(one.items())[:SHOWN]) for name, one in seen.items()},
    }
    write_json(args.output, found)
    print(json.dumps({name: row["processor_seconds"] for name, row in rows.items()}, indent=1), found["times_faster"])


def paired(first: list[float], second: list[float]) -> float:
    """The median of the ratios of steps that were taken one after the other."""
    return statistics.median(one / other for one, other in zip(first, second, strict=True))


def make_contiguous(state: TrainState) -> None:
    """Weights as torch stores them without being told, which is how oneDNN gives their gradients."""
    for weight in (*state.task.parameters(), *state.averaged.parameters()):
        weight.data = weight.data.contiguous()


def channels_last(batch: Batch) -> Batch:
    """Its pictures, channels last."""
    pictures = (one.contiguous(memory_format=torch.channels_last) for one in (batch.centre, batch.sharp))
    return Batch(*pictures, batch.coc)


def compile_parts(state: TrainState, batch: Batch) -> float:
    """Compile all but the adaptive convolution; seconds by the clock until the first step is done."""
    for name in COMPILED:
        getattr(state.task.net, name).compile()
    began = time.perf_counter()
    training_step(state, batch)
    return time.perf_counter() - began


def arithmetic(state: TrainState, batch: Batch, seen: dict[str, dict[str, float]]) -> dict[str, float]:
    """Multiply-accumulates of a step, the share of its time that they take, and their rate beside the processor's.

    Backward multiplies twice for each product forward; the filters are predicted again there, which is counted too.
    """
    net = copy.deepcopy(state.task.net).to("meta")
    forward = count_macs(net, torch.empty(batch.centre.shape, device="meta")).convolution
    head = net.filter_head.project.weight.numel() * batch.centre[:, 0].numel() // net.multiple**2
    in_products = sum(seen[name]["ms"] for name in PRODUCTS if name in seen) / 1e3
    whole = sum(one["ms"] for one in seen.values()) / 1e3
    side = 2048
    half = precision_here("auto", "cpu", processor_features()) == "bf16-mixed"
    matrix = torch.rand(side, side, dtype=torch.bfloat16 if half else torch.float32)
    best = min(timed(lambda: matrix @ matrix) for _ in range(10))
    return {
        "gigamacs": round((3 * forward + head) / 1e9, 2),
        "share_of_time": round(in_products / whole, 3),
        "gigamacs_a_second": round((3 * forward + head) / 1e9 / in_products, 1),
        "best_gigamacs_a_second": round(side**3 / 1e9 / best, 1),
    }


def timed(work: Callable[[], object]) -> float:
    """Processor seconds that something takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def start(precision: str, args: argparse.Namespace, *, now: bool = False) -> TrainState:
    """A run of the recipe `ifan-fast`, as it is now or with the network and the optimiser of 0.1.0."""
    config: TrainConfig = replace(
        recipe("ifan-fast"),
        precision=precision,
        threads=args.threads,
        batch=args.batch,
        patch_px=args.patch,  # type: ignore[arg-type]
    )
    if not now:
        config = replace(config, net=NetConfig(width=32), optimiser="adamw", learning_rate=3e-4)
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
    """Calls and own time in ms of the operators of a step, means of several; those that take most first."""
    with computed(way), profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(PROFILED):
            training_step(state, batch)
    rows = sorted(seen.key_averages(), key=lambda row: -row.self_cpu_time_total)
    return {
        row.key: {"calls": row.count / PROFILED, "ms": round(row.self_cpu_time_total / 1e3 / PROFILED, 2)}
        for row in rows
    }


if __name__ == "__main__":
    main()
