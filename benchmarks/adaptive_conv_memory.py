"""How much memory do the filters of IFAN (N=17) cost, in inference and in a training step, by way of computing them?

Each case runs in a process of its own: the filter head's 1x1 convolution and the adaptive convolution, nothing else.
The peak is the largest sum of tensors that were alive together, weights and inputs left out: on the CPU from the
allocations that torch's profiler sees, so that a busy machine measures the same, on CUDA from torch's allocator.

    python benchmarks/adaptive_conv_memory.py [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

CASES = {  # name: (batch, height, width) in cells of 8 px, gradient
    "inference, 1280x720": ((1, 90, 160), False),
    "training step, 8 patches of 256x256": ((8, 32, 32), True),
}
WAYS = ("whole filter tensor", "one iteration at a time", "one iteration at a time, predicted again for the gradient")
CHANNELS, ITERATIONS = 128, 17
MEGABYTE = 1e6


def measure(case: str, way: str, share: float) -> dict[str, object]:
    """Run one case here; called in a fresh process."""
    import torch

    from allfocus.nets.ifan import FilterHead
    from allfocus.ops.adaptive_conv import iterative_adaptive_convolution, predicted_adaptive_convolution
    from allfocus.ops.adaptive_conv.choose import choose

    torch.set_num_threads(1)
    (batch, *sides), training = CASES[case]
    height, width = (round(share * side) for side in sides)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    head = FilterHead(CHANNELS, ITERATIONS).to(device).requires_grad_(training)
    features, embedding = torch.randn(2, batch, CHANNELS, height, width, device=device).unbind()
    weight, bias = head.project.weight, head.project.bias

    def run() -> torch.Tensor:
        if way == WAYS[0]:
            return iterative_adaptive_convolution(features, head.project(embedding), ITERATIONS)
        if way == WAYS[1] and device == "cpu":
            return head.filter(features, embedding, False)
        return predicted_adaptive_convolution(features, embedding, weight, bias, ITERATIONS)

    def step() -> None:
        with torch.set_grad_enabled(training):
            out = run()
            if training:
                out.square().mean().backward()

    return {
        "case": case,
        "way": way,
        "megabytes": round((_cuda_peak(step) if device == "cuda" else _cpu_peak(step)) / MEGABYTE),
        "backend": choose(features).name,
        "device": torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU, 1 thread",
        "torch": torch.__version__,
    }


def _cpu_peak(step: Callable[[], None]) -> int:
    """Bytes at the highest point of the running sum of allocations."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(accumulate(event.nbytes() for event in events))


def _cuda_peak(step: Callable[[], None]) -> int:
    import torch

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    return torch.cuda.max_memory_allocated() - before


def main() -> None:
    """Measure every case and print, or write, a JSON list."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("-o", "--output", type=Path)
    options.add_argument("--share", type=float, default=1.0, help="of the sides of the pictures, for a trial")
    options.add_argument("--one", nargs=2, metavar=("CASE", "WAY"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(measure(*chosen.one, chosen.share)))
        return
    rows = []
    for case in CASES:
        for way in WAYS:
            command = [sys.executable, __file__, "--one", case, way, "--share", str(chosen.share)]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(f"{rows[-1]['megabytes']:>6} MB  {case}: {way}", file=sys.stderr)
    text = json.dumps(rows, indent=2) + "\n"
    if chosen.output:
        chosen.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
